import type { ClockRange } from "./update-facts.ts";

/** So many are put in one by one. */
const fewRanges = 64;

/** Disjoint ranges in order, as small as they can be: a set of clocks. */
export class ClockRanges {
	#ranges: ClockRange[] = [];

	get ranges(): readonly ClockRange[] {
		return this.#ranges;
	}

	add(range: ClockRange): void {
		const ranges = this.#ranges;
		const last = ranges[ranges.length - 1];
		// The usual case: at the end.
		if (last === undefined || range.from > last.to) {
			ranges.push(range);
			return;
		}
		const first = this.#firstReaching(range.from);
		let beyond = first;
		let { from, to } = range;
		for (let each = ranges[beyond]; each !== undefined && each.from <= to; each = ranges[++beyond]) {
			from = Math.min(from, each.from);
			to = Math.max(to, each.to);
		}
		ranges.splice(first, beyond - first, { from, to });
	}

	/** In one pass, where one after another would move what is held once for each. */
	addAll(added: readonly ClockRange[]): void {
		if (added.length < fewRanges) {
			for (const range of added) this.add(range);
			return;
		}
		const inOrder = [...this.#ranges, ...added].sort((a, b) => a.from - b.from);
		this.#ranges = [];
		for (const range of inOrder) {
			const last = this.#ranges.length - 1;
			const before = this.#ranges[last];
			if (before === undefined || range.from > before.to) this.#ranges.push(range);
			else if (range.to > before.to) this.#ranges[last] = { from: before.from, to: range.to };
		}
	}

	/** Whether it overlaps or adjoins what is held: then it adds no range. */
	touches(range: ClockRange): boolean {
		const found = this.#ranges[this.#firstReaching(range.from)];
		return found !== undefined && found.from <= range.to;
	}

	covers(range: ClockRange): boolean {
		const found = this.#ranges[this.#firstReaching(range.from)];
		return found !== undefined && found.from <= range.from && found.to >= range.to;
	}

	/** Where the unbroken run from clock 0 ends. */
	get contiguous(): number {
		const first = this.#ranges[0];
		return first === undefined || first.from > 0 ? 0 : first.to;
	}

	/** Index of the first range whose end is at or beyond `clock`. */
	#firstReaching(clock: number): number {
		let low = 0;
		let high = this.#ranges.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if ((this.#ranges[middle] as ClockRange).to < clock) low = middle + 1;
			else high = middle;
		}
		return low;
	}
}
