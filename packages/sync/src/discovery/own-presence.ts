import type { Clock, Closeable, Random, Timer, UserId } from "@warren/kernel";
import { AwarenessClient, syncLimits } from "../protocol/index.ts";
import type { SyncRelay } from "../relay/sync-relay.ts";
import { type Advertised, stampState } from "./device-state.ts";
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
	readonly #client: AwarenessClient;
	#socket: OwnSocket | null = null;
	#timer: Timer | undefined;
	#closed = false;

	constructor(deps: OwnPresenceDeps) {
		this.#deps = deps;
		this.#client = new AwarenessClient(deps.random);
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
			const stamp = (json: string) => stampState(json, { userId: user, claim: () => null });
			this.#socket = await OwnSocket.enter(relay, user, { owner: "hub", stamp });
			if (this.#closed) return this.#socket.leave();
		}
		this.#socket.say(this.#client.says(JSON.stringify(state())));
	}
}
