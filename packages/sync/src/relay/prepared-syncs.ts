import type { Outgoing } from "./outgoing.ts";
import { relayLimits } from "./relay-limits.ts";

/** First syncs that are ready to send, over all rooms: each is made once, however many ask at the same time. */
export class PreparedSyncs {
	readonly #ready = new Map<string, Outgoing>();
	readonly #making = new Map<string, Promise<Outgoing | null>>();
	readonly #maxBytes: number;
	#bytes = 0;

	constructor(maxBytes: number = relayLimits.maxPreparedBytes) {
		this.#maxBytes = maxBytes;
	}

	/** How many are being made now. */
	get preparing(): number {
		return this.#making.size;
	}

	get bytes(): number {
		return this.#bytes;
	}

	has(key: string): boolean {
		return this.#ready.has(key) || this.#making.has(key);
	}

	/** @param make null is not kept. Keys begin with their room and a line feed. */
	async get<T extends Outgoing | null>(key: string, make: () => Promise<T>): Promise<T | Outgoing> {
		const ready = this.#ready.get(key);
		if (ready !== undefined) {
			this.#ready.delete(key);
			this.#ready.set(key, ready);
			return ready;
		}
		const making = this.#making.get(key) as Promise<T> | undefined;
		if (making !== undefined) return making;
		const made = make().finally(() => this.#making.delete(key));
		this.#making.set(key, made);
		const outgoing = await made;
		if (outgoing !== null) this.#keep(key, outgoing);
		return outgoing;
	}

	forget(room: string): void {
		for (const [key, outgoing] of this.#ready) if (key.startsWith(`${room}\n`)) this.#drop(key, outgoing);
	}

	#keep(key: string, outgoing: Outgoing): void {
		if (outgoing.bytes > this.#maxBytes) return;
		this.#ready.set(key, outgoing);
		this.#bytes += outgoing.bytes;
		for (const [oldest, each] of this.#ready) {
			if (this.#bytes <= this.#maxBytes) break;
			this.#drop(oldest, each);
		}
	}

	#drop(key: string, outgoing: Outgoing): void {
		if (this.#ready.delete(key)) this.#bytes -= outgoing.bytes;
	}
}
