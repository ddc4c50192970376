import type { Clock, Closeable, Random, Timer } from "@warren/kernel";
import { AwarenessClient } from "../protocol/index.ts";
import type { SyncRelay } from "../relay/sync-relay.ts";
import { documentsChanged } from "./device-state.ts";
import { OwnSocket } from "./own-socket.ts";

export interface ListNewsDeps {
	readonly relay: SyncRelay;
	readonly clock: Clock;
	readonly random: Random;
}

/** Longer than what goes out is gathered for, so that everybody sees it before it is taken back. */
const shownMs = 1_000;

/**
 * Tells whoever is in a person's discovery room that the list of their documents is another now, by an entry that is
 * there for a second and is no device. Once a second at most: who hears it looks at the whole list.
 */
export class ListNews implements Closeable {
	readonly #deps: ListNewsDeps;
	readonly #client: AwarenessClient;
	readonly #shown = new Map<string, { again: boolean; readonly timer: Timer }>();
	#closed = false;

	constructor(deps: ListNewsDeps) {
		this.#deps = deps;
		this.#client = new AwarenessClient(deps.random);
	}

	changed(users: readonly string[]): void {
		if (this.#closed) return;
		for (const user of users) {
			const shown = this.#shown.get(user);
			if (shown === undefined) this.#show(user);
			else shown.again = true;
		}
	}

	close(): void {
		this.#closed = true;
		for (const { timer } of this.#shown.values()) timer.cancel();
	}

	#show(user: string): void {
		// A room that cannot be opened now: lists are compared now and then anyway.
		const told = this.#tell(user).catch(() => null);
		const timer = this.#deps.clock.after(shownMs, () => {
			void told.then((socket) => socket?.leave());
			const again = this.#shown.get(user)?.again === true;
			this.#shown.delete(user);
			if (again && !this.#closed) this.#show(user);
		});
		this.#shown.set(user, { again: false, timer });
	}

	async #tell(user: string): Promise<OwnSocket> {
		const { relay, clock } = this.#deps;
		const socket = await OwnSocket.enter(relay, user, { owner: "hub-list", stamp: (state) => state });
		socket.say(this.#client.says(documentsChanged(clock.now())));
		return socket;
	}
}
