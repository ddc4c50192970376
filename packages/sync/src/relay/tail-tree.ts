import * as Y from "yjs";
import { emptyUpdate } from "../protocol/index.ts";
import { relayLimits } from "./relay-limits.ts";

/** How many updates one merge takes: merging is superlinear, so a long tail is merged as a tree. */
const fanOut = 64;

/**
 * The updates since the snapshot as one, merged without a document. Full groups are merged once and kept, so that the
 * next joiner costs a few merges, whatever the tail's length.
 */
export class TailTree {
	/** Merged groups by level: level 0 are updates as they came. */
	readonly #levels: Uint8Array[][] = [[]];
	#bytes = 0;

	add(update: Uint8Array): void {
		this.#bytes += update.length;
		this.#push(0, update);
	}

	/** It is merged no further: merging runs on the thread that serves sockets, and somebody may have made it costly. */
	get isLong(): boolean {
		return this.#bytes > relayLimits.mergedTailBytes;
	}

	/** What it is made of, in order. */
	get parts(): Uint8Array[] {
		return this.#levels.toReversed().flat();
	}

	get isEmpty(): boolean {
		return this.#levels.every((level) => level.length === 0);
	}

	/** @throws Error when Yjs cannot merge them. */
	merged(): Uint8Array {
		const { parts } = this;
		if (parts.length === 0) return emptyUpdate;
		return parts.length === 1 ? (parts[0] as Uint8Array) : Y.mergeUpdates(parts);
	}

	#push(level: number, update: Uint8Array): void {
		const group = this.#levels[level] ?? [];
		this.#levels[level] = group;
		group.push(update);
		if (group.length < fanOut || this.isLong) return;
		this.#levels[level] = [];
		this.#push(level + 1, Y.mergeUpdates(group));
	}
}
