import { type Access, isFull, isNone } from "./access.ts";
import { accessBetween, matches, type Policy, type PolicyRule, type Selector } from "./policy.ts";

/** Peers of one network with the same tags: the policy cannot tell them apart. */
export interface TagClass {
	readonly key: string;
	readonly network: string;
	readonly tags: ReadonlySet<string>;
}

/** How one class sees another: what it may open there (`out`), and what may be opened to it (`in`). */
export interface Edge {
	/** Inserted into the peer's own JSON; empty when everything is allowed both ways. Two edges with equal words are equal. */
	readonly words: string;
	readonly out: Access;
	readonly in: Access;
}

/**
 * A policy compiled for the tag classes that exist: asked per class, never per peer. Visibility is symmetric: whoever
 * may open anything in either direction sees the other.
 */
export class PolicyGraph {
	readonly policy: Policy;
	readonly #rulesByTag = new Map<string, Set<PolicyRule>>();
	readonly #rulesForMany: PolicyRule[] = [];
	readonly #classes = new Map<string, TagClass>();
	readonly #edges = new Map<string, Map<string, Edge>>();

	constructor(policy: Policy, classes: Iterable<TagClass> = []) {
		this.policy = policy;
		for (const rule of policy.rules) {
			const selectors = [...rule.src, ...rule.dst];
			if (selectors.some((each) => each.kind !== "tag")) this.#rulesForMany.push(rule);
			for (const each of selectors) {
				if (each.kind !== "tag") continue;
				const known = this.#rulesByTag.get(each.tag);
				if (known === undefined) this.#rulesByTag.set(each.tag, new Set([rule]));
				else known.add(rule);
			}
		}
		for (const each of classes) this.add(each);
	}

	/** Compiles the edges of a class that was not there before. */
	add(added: TagClass): void {
		if (this.#classes.has(added.key)) return;
		this.#classes.set(added.key, added);
		const rules = this.#rulesOf(added);
		const own = new Map<string, Edge>();
		this.#edges.set(added.key, own);
		if (rules.length === 0) return;
		const others = new Set(rules.flatMap((rule) => [...rule.src, ...rule.dst]).filter((each) => each.kind !== "any"));
		const open = rules.some((rule) => [...rule.src, ...rule.dst].some((each) => each.kind === "any"));
		for (const other of this.#classes.values()) {
			if (other.network !== added.network || (!open && !touches(others, other))) continue;
			const out = accessBetween(rules, added.tags, other.tags);
			const back = accessBetween(rules, other.tags, added.tags);
			if (isNone(out) && isNone(back)) continue;
			own.set(other.key, { words: wordsOf(out, back), out, in: back });
			if (other.key !== added.key)
				(this.#edges.get(other.key) as Map<string, Edge>).set(added.key, {
					words: wordsOf(back, out),
					out: back,
					in: out,
				});
		}
	}

	remove(key: string): void {
		for (const other of this.#edges.get(key)?.keys() ?? []) this.#edges.get(other)?.delete(key);
		this.#edges.delete(key);
		this.#classes.delete(key);
	}

	/** Null = `viewer` does not see `seen`. */
	edge(viewer: string, seen: string): Edge | null {
		return this.#edges.get(viewer)?.get(seen) ?? null;
	}

	/** Classes that see this one and are seen by it, itself among them when its members see each other. */
	neighbours(key: string): ReadonlyMap<string, Edge> {
		return this.#edges.get(key) ?? new Map();
	}

	get size(): number {
		return this.#classes.size;
	}

	/** In the policy's order: the first match decides. */
	#rulesOf(of: TagClass): PolicyRule[] {
		const found = new Set(this.#rulesForMany.filter((rule) => matches([...rule.src, ...rule.dst], of.tags)));
		for (const tag of of.tags) for (const rule of this.#rulesByTag.get(tag) ?? []) found.add(rule);
		return [...found].sort((a, b) => a.index - b.index);
	}
}

export function tagClass(network: string, tags: readonly string[]): TagClass {
	const sorted = [...new Set(tags)].sort();
	return { key: JSON.stringify([network, ...sorted]), network, tags: new Set(sorted) };
}

function touches(selectors: ReadonlySet<Selector>, other: TagClass): boolean {
	return matches([...selectors], other.tags);
}

function wordsOf(out: Access, back: Access): string {
	if (isFull(out) && isFull(back)) return "";
	return `"access":${JSON.stringify({ out: isFull(out) ? "all" : out, in: isFull(back) ? "all" : back })}`;
}
