import { createHash } from "node:crypto";
import * as Y from "yjs";
import { Coverage, readUpdate } from "../protocol/index.ts";
import { documentJson } from "./document-json.ts";

/** What the worker does with a document: the only places where one is ever built. */
export type DocumentJob =
	/** Merge everything into one snapshot; verified before it is given out. */
	| { readonly kind: "compact"; readonly updates: readonly Uint8Array[] }
	/** What a client with this state vector lacks. */
	| { readonly kind: "difference"; readonly update: Uint8Array; readonly stateVector: Uint8Array }
	/** The edit that brings a document's content back to what it was. */
	| { readonly kind: "revert"; readonly updates: readonly Uint8Array[]; readonly to: Uint8Array }
	| { readonly kind: "json"; readonly updates: readonly Uint8Array[] };

export interface Compacted {
	readonly update: Uint8Array;
	readonly coverage: Uint8Array;
	readonly hash: string;
}

export interface JobResults {
	compact: Compacted;
	difference: Uint8Array;
	revert: Uint8Array;
	json: unknown;
}

export function runDocumentJob<J extends DocumentJob>(job: J): JobResults[J["kind"]] {
	return run(job) as JobResults[J["kind"]];
}

function run(job: DocumentJob): JobResults[DocumentJob["kind"]] {
	switch (job.kind) {
		case "compact":
			return compact(job.updates);
		case "difference":
			return Y.diffUpdate(job.update, job.stateVector);
		case "revert":
			return revert(job.updates, job.to);
		case "json":
			return documentJson(load(job.updates));
	}
}

/** One transaction: a quarter of the time of one each, and garbage is collected once. */
function load(updates: readonly Uint8Array[], gc = true): Y.Doc {
	const doc = new Y.Doc({ gc });
	doc.transact(() => {
		for (const update of updates) Y.applyUpdate(doc, update);
	});
	return doc;
}

/** @throws Error when the updates cannot be applied, or the snapshot does not say what they said. */
function compact(updates: readonly Uint8Array[]): Compacted {
	const doc = load(updates);
	const update = Y.encodeStateAsUpdate(doc);
	const again = load([update]);
	const hash = documentHash(doc);
	if (documentHash(again) !== hash) throw new Error("the snapshot does not hold what the log holds");
	const reading = readUpdate(update);
	if (!reading.ok) throw new Error(reading.message);
	const coverage = new Coverage();
	coverage.add(reading.facts);
	return { update, coverage: coverage.encode(), hash };
}

/**
 * Undoes what happened since, as an edit like any other: clients that hold the later state merge it. Deleted content
 * comes back from the older state, which still has it.
 */
function revert(updates: readonly Uint8Array[], to: Uint8Array): Uint8Array {
	const now = load(updates);
	const then = load([to], false);
	const since = Y.encodeStateAsUpdate(now, Y.encodeStateVector(then));
	const undo = new Y.UndoManager(then, { trackedOrigins: new Set([revert]), captureTimeout: 0 });
	Y.applyUpdate(then, since, revert);
	const before = Y.encodeStateVector(now);
	undo.undo();
	return Y.encodeStateAsUpdate(then, before);
}

/** SHA-256 over what defines a document's state: clocks by client and deletions, both in order. */
export function documentHash(doc: Y.Doc): string {
	const hash = createHash("sha256");
	const clocks = [...Y.decodeStateVector(Y.encodeStateVector(doc))].sort(([a], [b]) => a - b);
	hash.update(JSON.stringify(clocks));
	const deletes = Y.createDeleteSetFromStructStore(doc.store).clients as ReadonlyMap<
		number,
		readonly { readonly clock: number; readonly len: number }[]
	>;
	const ranges = [...deletes].sort(([a], [b]) => a - b).map(([client, items]) => [client, mergeRanges(items)]);
	hash.update(JSON.stringify(ranges));
	return hash.digest("hex");
}

/** Neighbours become one: where structs are split differs between equal documents. */
function mergeRanges(items: readonly { readonly clock: number; readonly len: number }[]): [number, number][] {
	const merged: [number, number][] = [];
	for (const { clock, len } of [...items].sort((a, b) => a.clock - b.clock)) {
		const last = merged[merged.length - 1];
		if (last !== undefined && last[1] >= clock) last[1] = Math.max(last[1], clock + len);
		else merged.push([clock, clock + len]);
	}
	return merged;
}
