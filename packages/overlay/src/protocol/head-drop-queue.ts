/** Holds what could not go out yet; when it is full the oldest goes: of datagrams, the newest is worth most. */
export class HeadDropQueue {
	readonly #limit: number;
	#items: Uint8Array[] = [];
	#dropped = 0;

	constructor(limit: number) {
		this.#limit = limit;
	}

	get size(): number {
		return this.#items.length;
	}

	get dropped(): number {
		return this.#dropped;
	}

	push(item: Uint8Array): void {
		this.#items.push(item);
		if (this.#items.length <= this.#limit) return;
		this.#items.shift();
		this.#dropped += 1;
	}

	shift(): Uint8Array | undefined {
		return this.#items.shift();
	}
}
