import type { Clock, Closeable, Random, Timer, UserId } from "@warren/kernel";
import { encodeAwareness, encodeEntries, encodeStep1, syncLimits } from "../protocol/index.ts";
import type { SyncRelay } from "../relay/sync-relay.ts";
import { type Advertised, stampState } from "./device-state.ts";
import { discoveryRoomOf } from "./discovery-access.ts";
import { OwnSocket } from "./own-socket.ts";

export interface OwnPresenceDeps {
	readonly relay: SyncRelay;
	readonly clock: Clock;
	readonly random: Random;
	/** In whose room; null = nobody owns this hub yet. */
	readonly user: () => Promise<UserId | null>;
	/** Asked at each renewal: addresses come and go. */
	readonly state: () => Advertised;
}

const renewMs = syncLimits.awarenessTimeoutMs / 2;
/** A hub that was just set up has an owner soon. */
const ownerlessMs = 2_000;

/** The hub's own machine in its owner's discovery room: present like any other, without a way through the network. */
export class OwnPresence implements Closeable {
	readonly #deps: OwnPresenceDeps;
	readonly #clientId: number;
	#clock = 0;
	#socket: OwnSocket | null = null;
	#timer: Timer | undefined;
	#closed = false;

	constructor(deps: OwnPresenceDeps) {
		this.#deps = deps;
		this.#clientId = new DataView(deps.random.bytes(4).slice().buffer).getUint32(0);
	}

	start(): this {
		void this.#show();
		return this;
	}

	close(): void {
		this.#closed = true;
		this.#timer?.cancel();
		this.#socket?.leave();
	}

	/** Never rejects: a room that cannot be opened now is tried again. */
	async #show(): Promise<void> {
		this.#timer = undefined;
		try {
			const user = await this.#deps.user();
			if (this.#closed) return;
			this.#timer = this.#deps.clock.after(user === null ? ownerlessMs : renewMs, () => void this.#show());
			if (user !== null) await this.#join(user);
		} catch {
			// The hub is stopping, or its tables cannot be asked now.
			if (!this.#closed) this.#timer ??= this.#deps.clock.after(ownerlessMs, () => void this.#show());
		}
	}

	async #join(user: UserId): Promise<void> {
		const { relay, state } = this.#deps;
		if (this.#socket?.isOpen !== true) {
			const room = await relay.open(discoveryRoomOf(user), false);
			if (this.#closed) return;
			this.#socket = new OwnSocket();
			const stamp = (json: string) => stampState(json, { userId: user, claim: () => null });
			const who = { owner: "hub", access: "read-only", acknowledges: false, maxClients: 1, stamp } as const;
			relay.join(room, this.#socket, who, null);
			this.#socket.say(encodeStep1(new Uint8Array([0])));
		}
		const entry = { client: this.#clientId, clock: ++this.#clock, state: JSON.stringify(state()) };
		this.#socket.say(encodeAwareness(encodeEntries([entry])));
	}
}
