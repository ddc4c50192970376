import { type Cidr, maskOf } from "./cidr.ts";

interface Node<T> {
	readonly words: readonly number[];
	readonly length: number;
	value: T | null;
	zero: Node<T> | null;
	one: Node<T> | null;
}

/**
 * Which peer an inner address belongs to: the longest prefix decides. A path-compressed binary trie for each version;
 * inserting a prefix that another peer holds moves it.
 */
export class AllowedIps<T extends object> {
	readonly #roots: { 4: Node<T> | null; 6: Node<T> | null } = { 4: null, 6: null };
	readonly #byOwner = new Map<T, Map<string, Cidr>>();

	/** @returns who held the prefix before, or null. */
	insert(cidr: Cidr, owner: T): T | null {
		const node = this.#nodeFor(cidr);
		const before = node.value;
		if (before === owner) return null;
		node.value = owner;
		const key = keyOf(cidr);
		if (before !== null) this.#byOwner.get(before)?.delete(key);
		let owned = this.#byOwner.get(owner);
		if (owned === undefined) this.#byOwner.set(owner, (owned = new Map()));
		owned.set(key, cidr);
		return before;
	}

	/** Takes one prefix from whoever holds it. */
	remove(cidr: Cidr): void {
		const path: Node<T>[] = [];
		let node = this.#roots[cidr.version];
		while (node !== null && node.length <= cidr.length && covers(node, cidr.words)) {
			path.push(node);
			if (node.length === cidr.length) break;
			node = bitAt(cidr.words, node.length) ? node.one : node.zero;
		}
		const found = path.at(-1);
		if (found === undefined || found.length !== cidr.length || found.value === null) return;
		this.#byOwner.get(found.value)?.delete(keyOf(cidr));
		found.value = null;
		// A node without a value and with one child or none only lengthens the way.
		for (let at = path.length - 1; at >= 0; at--) {
			const spent = path[at] as Node<T>;
			if (spent.value !== null || (spent.zero !== null && spent.one !== null)) break;
			const child = spent.zero ?? spent.one;
			const parent = path[at - 1];
			if (parent === undefined) this.#roots[cidr.version] = child;
			else if (parent.one === spent) parent.one = child;
			else parent.zero = child;
		}
	}

	removeOwner(owner: T): void {
		for (const cidr of this.#byOwner.get(owner)?.values() ?? []) this.remove(cidr);
		this.#byOwner.delete(owner);
	}

	of(owner: T): Cidr[] {
		return [...(this.#byOwner.get(owner)?.values() ?? [])];
	}

	lookup4(word: number): T | null {
		let found: T | null = null;
		let node = this.#roots[4];
		while (node !== null) {
			if (((word ^ (node.words[0] as number)) & maskOf(node.length, 0)) !== 0) break;
			if (node.value !== null) found = node.value;
			if (node.length === 32) break;
			node = (word >>> (31 - node.length)) & 1 ? node.one : node.zero;
		}
		return found;
	}

	/** @param words four big-endian words of the address. */
	lookup6(words: readonly number[] | Uint32Array): T | null {
		let found: T | null = null;
		let node = this.#roots[6];
		while (node !== null && covers(node, words)) {
			if (node.value !== null) found = node.value;
			if (node.length === 128) break;
			node = bitAt(words, node.length) ? node.one : node.zero;
		}
		return found;
	}

	#nodeFor(cidr: Cidr): Node<T> {
		const made: Node<T> = { words: cidr.words, length: cidr.length, value: null, zero: null, one: null };
		let parent: Node<T> | null = null;
		let node = this.#roots[cidr.version];
		while (node !== null && node.length <= cidr.length && covers(node, cidr.words)) {
			if (node.length === cidr.length) return node;
			parent = node;
			node = bitAt(cidr.words, node.length) ? node.one : node.zero;
		}
		const place = (child: Node<T>) => {
			if (parent === null) this.#roots[cidr.version] = child;
			else if (bitAt(cidr.words, parent.length)) parent.one = child;
			else parent.zero = child;
		};
		if (node === null) {
			place(made);
			return made;
		}
		const common = Math.min(commonBits(node.words, cidr.words), cidr.length, node.length);
		if (common === cidr.length) {
			if (bitAt(node.words, common)) made.one = node;
			else made.zero = node;
			place(made);
			return made;
		}
		const fork: Node<T> = {
			words: cidr.words.map((word, at) => (word & maskOf(common, at)) >>> 0),
			length: common,
			value: null,
			zero: bitAt(node.words, common) ? made : node,
			one: bitAt(node.words, common) ? node : made,
		};
		place(fork);
		return made;
	}
}

function covers<T>(node: Node<T>, words: readonly number[] | Uint32Array): boolean {
	for (let at = 0; at * 32 < node.length; at++)
		if ((((words[at] as number) ^ (node.words[at] as number)) & maskOf(node.length, at)) !== 0) return false;
	return true;
}

function bitAt(words: readonly number[] | Uint32Array, bit: number): boolean {
	return (((words[bit >>> 5] as number) >>> (31 - (bit & 31))) & 1) === 1;
}

function commonBits(a: readonly number[], b: readonly number[]): number {
	for (let at = 0; at < a.length; at++) {
		const difference = ((a[at] as number) ^ (b[at] as number)) >>> 0;
		if (difference !== 0) return at * 32 + Math.clz32(difference);
	}
	return a.length * 32;
}

function keyOf(cidr: Cidr): string {
	return `${cidr.words.join(".")}/${cidr.length}`;
}
