import { ClockRanges } from "./clock-ranges.ts";
import { syncLimits } from "./limits.ts";
import { Malformed, Reader } from "./reader.ts";
import type { ClockRange, UpdateFacts } from "./update-facts.ts";
import { Writer } from "./writer.ts";

/**
 * Which clocks a room's log holds and which it knows to be deleted: what a relay needs of a document instead of the
 * document. An update that brings nothing new is recognised, so a reconnect appends nothing; equal state vectors do not
 * mean equal documents, so deletes count too.
 */
export class Coverage {
	readonly #structs = new Map<number, ClockRanges>();
	readonly #deletes = new Map<number, ClockRanges>();
	#pendingRanges = 0;
	#ranges = 0;

	/** Whether everything in the update is in the log already. */
	covers(facts: UpdateFacts): boolean {
		return coversAll(this.#structs, facts.structs) && coversAll(this.#deletes, facts.deletes);
	}

	/** Why the update must not be taken, or null: clocks from nowhere would fill the room with what never integrates. */
	refuses(facts: UpdateFacts, limits = syncLimits): string | null {
		let pending = this.#pendingRanges;
		for (const [client, ranges] of facts.structs) {
			let known = this.#structs.get(client)?.contiguous ?? 0;
			let span = 0;
			for (const range of ranges) {
				const gap = range.from - known;
				if (gap > limits.maxClockGap) {
					return `client ${client} jumps from clock ${known} to ${range.from}; ${limits.maxClockGap} is the most`;
				}
				if (gap > 0) pending += 1;
				span += Math.max(0, range.to - Math.max(range.from, known));
				if (span > limits.maxClockSpan) {
					return `client ${client} claims more than ${limits.maxClockSpan} clocks in one update`;
				}
				if (gap <= 0) known = Math.max(known, range.to);
			}
		}
		if (pending > limits.maxPendingRanges) {
			return `more than ${limits.maxPendingRanges} ranges of this document wait for what comes before them`;
		}
		return null;
	}

	add(facts: UpdateFacts): void {
		for (const [client, ranges] of facts.structs) {
			const held = this.#structs.get(client) ?? new ClockRanges();
			const before = pendingOf(held);
			this.#put(held, ranges);
			this.#pendingRanges += pendingOf(held) - before;
			this.#structs.set(client, held);
		}
		for (const [client, ranges] of facts.deletes) {
			const held = this.#deletes.get(client) ?? new ClockRanges();
			this.#put(held, ranges);
			this.#deletes.set(client, held);
		}
	}

	/** How many ranges it would be with these: at most, for two of them may close a gap. */
	rangesWith(facts: UpdateFacts): number {
		return this.#ranges + untouched(this.#structs, facts.structs) + untouched(this.#deletes, facts.deletes);
	}

	/** Ranges that wait for a gap before them. */
	get pendingRanges(): number {
		return this.#pendingRanges;
	}

	#put(held: ClockRanges, ranges: readonly ClockRange[]): void {
		const before = held.ranges.length;
		held.addAll(ranges);
		this.#ranges += held.ranges.length - before;
	}

	/** What a client must not send again (Yjs V1). A gap ends the run: what lies beyond it is asked for again. */
	stateVector(): Uint8Array {
		const clocks = [...this.#structs].map(([client, held]) => [client, held.contiguous] as const);
		const known = clocks.filter(([, clock]) => clock > 0);
		const writer = new Writer();
		writer.varUint(known.length);
		for (const [client, clock] of known) {
			writer.varUint(client);
			writer.varUint(clock);
		}
		return writer.take();
	}

	/** Whether a client with this state vector needs no struct of ours. */
	isWithin(clocks: ReadonlyMap<number, number>): boolean {
		if (this.#pendingRanges > 0) return false;
		for (const [client, held] of this.#structs) if ((clocks.get(client) ?? 0) < held.contiguous) return false;
		return true;
	}

	/** An update (V1) with the delete set alone. */
	deleteUpdate(): Uint8Array {
		const writer = new Writer();
		writer.varUint(0);
		writeRanges(writer, this.#deletes);
		return writer.take();
	}

	/** For the store; `Coverage.decode` reads it. */
	encode(): Uint8Array {
		const writer = new Writer();
		writeRanges(writer, this.#structs);
		writeRanges(writer, this.#deletes);
		return writer.take();
	}

	/** @throws Malformed when it is not what `encode` made. */
	static decode(bytes: Uint8Array): Coverage {
		const reader = new Reader(bytes);
		const coverage = new Coverage();
		coverage.add({ structs: readRanges(reader), deletes: readRanges(reader) });
		reader.end();
		return coverage;
	}
}

/** A state vector (Yjs V1) as clocks by client, or why it is none. */
export function readStateVector(bytes: Uint8Array): ReadonlyMap<number, number> | string {
	const reader = new Reader(bytes);
	try {
		const clocks = new Map<number, number>();
		const count = reader.varUint();
		for (let i = 0; i < count; i++) clocks.set(reader.varUint(), reader.varUint());
		reader.end();
		return clocks;
	} catch (thrown) {
		if (thrown instanceof Malformed) return `the state vector is malformed: ${thrown.message}`;
		throw thrown;
	}
}

function pendingOf(held: ClockRanges): number {
	return held.ranges.length - (held.contiguous > 0 ? 1 : 0);
}

function untouched(held: ReadonlyMap<number, ClockRanges>, added: ReadonlyMap<number, readonly ClockRange[]>): number {
	let count = 0;
	for (const [client, ranges] of added) {
		const known = held.get(client);
		for (const range of ranges) if (known?.touches(range) !== true) count += 1;
	}
	return count;
}

function coversAll(
	held: ReadonlyMap<number, ClockRanges>,
	wanted: ReadonlyMap<number, readonly ClockRange[]>,
): boolean {
	for (const [client, ranges] of wanted) {
		const known = held.get(client);
		if (known === undefined) return false;
		for (const range of ranges) if (!known.covers(range)) return false;
	}
	return true;
}

function writeRanges(writer: Writer, ranges: ReadonlyMap<number, ClockRanges>): void {
	writer.varUint(ranges.size);
	for (const [client, held] of ranges) {
		writer.varUint(client);
		writer.varUint(held.ranges.length);
		for (const range of held.ranges) {
			writer.varUint(range.from);
			writer.varUint(range.to - range.from);
		}
	}
}

function readRanges(reader: Reader): Map<number, ClockRange[]> {
	const ranges = new Map<number, ClockRange[]>();
	const clients = reader.varUint();
	for (let c = 0; c < clients; c++) {
		const client = reader.varUint();
		const count = reader.varUint();
		const list: ClockRange[] = [];
		for (let r = 0; r < count; r++) {
			const from = reader.varUint();
			list.push({ from, to: from + reader.varUint() });
		}
		ranges.set(client, list);
	}
	return ranges;
}
