import { lightFields, type OverlayPeerId, type PeerRecord } from "./peer-record.ts";
import type { Edge, TagClass } from "./policy-graph.ts";
import { encodeEvent } from "./sse.ts";

/** A peer as readers are told of it: made into bytes once. */
export interface Published {
	readonly record: PeerRecord;
	/** Without its closing brace: the edge's words follow, where there are any. */
	readonly json: string;
	readonly inClass: TagClass;
	/** `peer_added`, by the edge's words: made once, shared by all readers. */
	readonly added: Map<string, Buffer>;
}

/** What a change is to one class of readers. */
export type ChangeKind = "added" | "updated" | "removed";

export function publish(record: PeerRecord, inClass: TagClass): Published {
	return { record, json: JSON.stringify(record).slice(0, -1), inClass, added: new Map() };
}

/** By the edges before and after. */
export function kindOf(was: Edge | undefined, is: Edge | undefined): ChangeKind | "same" {
	if (was === undefined) return is === undefined ? "same" : "added";
	if (is === undefined) return "removed";
	return was.words === is.words ? "same" : "updated";
}

export function jsonOf(peer: Published, edge: Edge): string {
	return edge.words === "" ? `${peer.json}}` : `${peer.json},${edge.words}}`;
}

/** @param edge undefined = nobody sees it any more. */
export function changeFrame(kind: ChangeKind, peer: Published, edge: Edge | undefined, id?: string): Buffer {
	if (kind === "removed" || edge === undefined)
		return encodeEvent("peer_removed", JSON.stringify({ peer_id: peer.record.peer_id }), id);
	return encodeEvent(kind === "added" ? "peer_added" : "peer_updated", jsonOf(peer, edge), id);
}

/** Of a first roster: the same for all who see the peer alike. */
export function addedFrame(peer: Published, edge: Edge): Buffer {
	const known = peer.added.get(edge.words);
	if (known !== undefined) return known;
	const made = encodeEvent("peer_added", jsonOf(peer, edge));
	peer.added.set(edge.words, made);
	return made;
}

/** The patch between two that differ in light fields alone, else null. A field that is gone is null. */
export function lightPatch(was: Published | undefined, is: Published | undefined): string | null {
	if (was === undefined || is === undefined || was.inClass !== is.inClass) return null;
	const [before, after] = [was.record, is.record];
	const patch: Record<string, unknown> = { peer_id: after.peer_id };
	for (const name of new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof PeerRecord>) {
		if (JSON.stringify(before[name]) === JSON.stringify(after[name])) continue;
		if (!(lightFields as readonly string[]).includes(name)) return null;
		patch[name] = after[name] ?? null;
	}
	return JSON.stringify(patch);
}

/** The published peers of one class, by their ids. */
export class ClassMembers {
	readonly #members = new Map<string, Map<OverlayPeerId, Published>>();

	add(peer: Published): void {
		const known = this.#members.get(peer.inClass.key);
		if (known === undefined) this.#members.set(peer.inClass.key, new Map([[peer.record.peer_id, peer]]));
		else known.set(peer.record.peer_id, peer);
	}

	remove(peer: Published): void {
		this.#members.get(peer.inClass.key)?.delete(peer.record.peer_id);
	}

	of(classKey: string): Iterable<Published> {
		return this.#members.get(classKey)?.values() ?? [];
	}

	/** @returns whether nobody is in it. */
	dropEmpty(classKey: string): boolean {
		if ((this.#members.get(classKey)?.size ?? 0) > 0) return false;
		this.#members.delete(classKey);
		return true;
	}
}
