import { type Access, isFull, isNone, minus, noAccess, wordsOf } from "./access.ts";
import type { PeerRecord } from "./peer-record.ts";
import type { Policy } from "./policy.ts";
import { type Edge, PolicyGraph, tagClass } from "./policy-graph.ts";

/** Each list ends there; the counts go on. */
export const maxShownPairs = 200;

/** What a policy would change, pair by pair; names are display names. */
export interface PolicyPreview {
	/** Pairs that begin to see each other, and that cease to. */
	readonly gained: [string, string][];
	readonly lost: [string, string][];
	readonly gainedCount: number;
	readonly lostCount: number;
	/** What peers may open to each other, where that is more, less or other than before and not all or nothing. */
	readonly ports: PortChange[];
	readonly portsCount: number;
	/** Of those, the ones that lose something. */
	readonly portsLostCount: number;
}

/** What `from` may open to `to`, in words: `tcp 22, 8000-8010`; `both` = and the other way round. */
export interface PortChange {
	readonly from: string;
	readonly to: string;
	readonly both: boolean;
	readonly gained: string[];
	readonly lost: string[];
}

/** Asked per class of tags; only what is shown is spelled out per peer. */
export function previewPolicy(now: Policy, then: Policy, peers: Iterable<PeerRecord>): PolicyPreview {
	const members = new Map<string, PeerRecord[]>();
	const classes = new Map<string, ReturnType<typeof tagClass>>();
	for (const peer of peers) {
		const of = tagClass(peer.network, peer.tags);
		classes.set(of.key, of);
		members.set(of.key, [...(members.get(of.key) ?? []), peer]);
	}
	const graphs = [new PolicyGraph(now, classes.values()), new PolicyGraph(then, classes.values())] as const;
	const result = { gained: [], lost: [], gainedCount: 0, lostCount: 0, ports: [], portsCount: 0, portsLostCount: 0 };
	const preview: { -readonly [K in keyof PolicyPreview]: PolicyPreview[K] } = result;
	for (const a of classes.keys()) {
		for (const b of new Set(graphs.flatMap((graph) => [...graph.neighbours(a).keys()]))) {
			if (b < a) continue;
			const [was, is] = [graphs[0].edge(a, b), graphs[1].edge(a, b)];
			const pairs = { left: members.get(a) ?? [], right: members.get(b) ?? [], isOne: a === b };
			if (was === null && is !== null) {
				preview.gainedCount += countOf(pairs);
				show(preview.gained, pairs, (one, other) => [one, other]);
			}
			if (was !== null && is === null) {
				preview.lostCount += countOf(pairs);
				show(preview.lost, pairs, (one, other) => [one, other]);
			}
			if (is !== null && was?.words !== is.words) comparePorts(preview, pairs, was, is);
		}
	}
	return preview;
}

interface Pairs {
	readonly left: readonly PeerRecord[];
	readonly right: readonly PeerRecord[];
	/** Both are one class: each pair once. */
	readonly isOne: boolean;
}

function comparePorts(
	preview: { -readonly [K in keyof PolicyPreview]: PolicyPreview[K] },
	pairs: Pairs,
	was: Edge | null,
	is: Edge,
): void {
	// A pair that gains all is told among the pairs.
	if (was === null && isFull(is.out) && isFull(is.in)) return;
	const [out, back] = [changeOf(was?.out ?? noAccess, is.out), changeOf(was?.in ?? noAccess, is.in)];
	const both = pairs.isOne || JSON.stringify(out) === JSON.stringify(back);
	for (const [change, turned] of both
		? ([[out, false]] as const)
		: ([
				[out, false],
				[back, true],
			] as const)) {
		if (change.gained.length + change.lost.length === 0) continue;
		preview.portsCount += countOf(pairs);
		if (change.lost.length > 0) preview.portsLostCount += countOf(pairs);
		show(preview.ports, pairs, (one, other) => ({
			...(turned ? { from: other, to: one } : { from: one, to: other }),
			both,
			...change,
		}));
	}
}

function changeOf(was: Access, is: Access): { gained: string[]; lost: string[] } {
	const [gained, lost] = [minus(is, was), minus(was, is)];
	return { gained: isNone(gained) ? [] : wordsOf(gained), lost: isNone(lost) ? [] : wordsOf(lost) };
}

function countOf({ left, right, isOne }: Pairs): number {
	return isOne ? (left.length * (left.length - 1)) / 2 : left.length * right.length;
}

function show<T>(list: T[], { left, right, isOne }: Pairs, spell: (one: string, other: string) => T): void {
	for (const [at, one] of left.entries()) {
		for (const other of isOne ? left.slice(at + 1) : right) {
			if (list.length >= maxShownPairs) return;
			list.push(spell(one.display_name, other.display_name));
		}
	}
}
