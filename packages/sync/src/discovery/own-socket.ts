import { encodeStep1 } from "../protocol/index.ts";
import type { SyncRelay } from "../relay/sync-relay.ts";
import type { SyncSocket } from "../relay/sync-socket.ts";
import { discoveryRoomOf } from "./discovery-access.ts";

/** To its room a socket like any other; what is said to it, it knows. */
export class OwnSocket implements SyncSocket {
	readonly isBlocked = false;
	readonly takenBytes = 0;
	isOpen = true;
	#onMessage: (message: Uint8Array) => void = () => {};
	readonly #onClose: ((clean: boolean) => void)[] = [];

	/** Into a person's discovery room. @param who as what the room knows it. @throws a room that cannot be opened now. */
	static async enter(
		relay: SyncRelay,
		user: string,
		who: { readonly owner: string; stamp(state: string): string | null },
	): Promise<OwnSocket> {
		const room = await relay.open(discoveryRoomOf(user), false);
		const socket = new OwnSocket();
		relay.join(room, socket, { ...who, access: "read-only", acknowledges: false, maxClients: 1 }, null);
		socket.say(encodeStep1(new Uint8Array([0])));
		return socket;
	}

	say(message: Uint8Array): void {
		if (this.isOpen) this.#onMessage(message);
	}

	leave(): void {
		if (!this.isOpen) return;
		this.isOpen = false;
		for (const handler of this.#onClose) handler(true);
	}

	send(): boolean {
		return true;
	}

	inTurn(work: () => Promise<void>): void {
		void work();
	}

	close(): void {
		this.leave();
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.#onMessage = handler;
	}

	onClose(handler: (clean: boolean) => void): void {
		this.#onClose.push(handler);
	}

	onDrain(): void {}
}
