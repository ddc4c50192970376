/** The newest bytes of a numbered stream, at most `capacity` of them. Storage grows as it is needed, by doubling. */
export class ByteRing {
	readonly #capacity: number;
	#storage: Uint8Array;
	#start = 0;
	#end = 0;

	constructor(capacity: number) {
		this.#capacity = capacity;
		this.#storage = new Uint8Array(Math.min(capacity, 16 * 1024));
	}

	/** Offset of the oldest byte that is still here. */
	get start(): number {
		return this.#start;
	}

	/** Offset after the newest byte: how many were ever appended. */
	get end(): number {
		return this.#end;
	}

	append(bytes: Uint8Array): void {
		const kept = bytes.length > this.#capacity ? bytes.subarray(bytes.length - this.#capacity) : bytes;
		this.#end += bytes.length - kept.length;
		if (kept !== bytes) this.#start = this.#end;
		this.#grow(this.#end + kept.length - this.#start);
		const size = this.#storage.length;
		const at = this.#end % size;
		const first = Math.min(kept.length, size - at);
		this.#storage.set(kept.subarray(0, first), at);
		this.#storage.set(kept.subarray(first), 0);
		this.#end += kept.length;
		this.#start = Math.max(this.#start, this.#end - size);
	}

	/** Copies the bytes [from, to) to `target` at `targetAt`. @throws RangeError when some of them are not here. */
	copy(from: number, to: number, target: Uint8Array, targetAt: number): void {
		if (from < this.#start || to > this.#end || from > to) {
			throw new RangeError(`bytes ${from} to ${to} are not in the ring (${this.#start} to ${this.#end})`);
		}
		const size = this.#storage.length;
		const at = from % size;
		const first = Math.min(to - from, size - at);
		target.set(this.#storage.subarray(at, at + first), targetAt);
		target.set(this.#storage.subarray(0, to - from - first), targetAt + first);
	}

	/** Forgets every byte; the numbering goes on. */
	clear(): void {
		this.#start = this.#end;
	}

	#grow(needed: number): void {
		const size = this.#storage.length;
		if (needed <= size || size === this.#capacity) return;
		let larger = size;
		while (larger < needed && larger < this.#capacity) larger = Math.min(larger * 2, this.#capacity);
		const storage = new Uint8Array(larger);
		for (let offset = this.#start; offset < this.#end; ) {
			const run = Math.min(this.#end - offset, size - (offset % size), larger - (offset % larger));
			storage.set(this.#storage.subarray(offset % size, (offset % size) + run), offset % larger);
			offset += run;
		}
		this.#storage = storage;
	}
}
