/** A prefix of v4 (1 word) or v6 (4 words) addresses, big-endian words, host bits zero. */
export interface Cidr {
	readonly version: 4 | 6;
	readonly words: readonly number[];
	readonly length: number;
}

/** Reads `10.0.0.0/8`, `fd5a::/16`, or an address alone (its own /32 or /128). Host bits are cleared. null = neither. */
export function parseCidr(text: string): Cidr | null {
	const [address = "", suffix, more] = text.split("/");
	if (more !== undefined) return null;
	const words = parseAddress(address);
	if (words === null) return null;
	const width = words.length * 32;
	if (suffix !== undefined && !/^\d{1,3}$/.test(suffix)) return null;
	const length = suffix === undefined ? width : Number(suffix);
	if (length > width) return null;
	return {
		version: words.length === 1 ? 4 : 6,
		words: words.map((word, at) => (word & maskOf(length, at)) >>> 0),
		length,
	};
}

/** An interface's address, which keeps its host bits. @throws RangeError for what `parseCidr` does not read. */
export function interfaceAddress(text: string): Cidr {
	const prefix = parseCidr(text);
	const host = parseCidr(text.split("/")[0] as string);
	if (prefix === null || host === null) throw new RangeError(`"${text}" is no address with a prefix length.`);
	return { ...host, length: prefix.length };
}

/** One word for v4, four for v6; null = no address literal. */
export function parseAddress(address: string): number[] | null {
	return address.includes(":") ? parseV6(address) : parseV4(address);
}

export function formatCidr(cidr: Cidr): string {
	return `${formatAddress(cidr.words)}/${cidr.length}`;
}

export function formatAddress(words: readonly number[]): string {
	if (words.length === 1) {
		const [word = 0] = words;
		return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join(".");
	}
	const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
	// RFC 5952: the longest run of two or more zero groups is shortened, the first of equals.
	let best = { at: -1, run: 1 };
	for (let at = 0; at < 8; at++) {
		let run = 0;
		while (at + run < 8 && groups[at + run] === 0) run++;
		if (run > best.run) best = { at, run };
	}
	const hex = groups.map((group) => group.toString(16));
	if (best.at < 0) return hex.join(":");
	return `${hex.slice(0, best.at).join(":")}::${hex.slice(best.at + best.run).join(":")}`;
}

/** The bits of word `at` that a prefix of `length` covers. */
export function maskOf(length: number, at: number): number {
	const bits = Math.min(32, Math.max(0, length - at * 32));
	return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
}

function parseV4(address: string): number[] | null {
	const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
	if (match === null) return null;
	let word = 0;
	for (const part of match.slice(1)) {
		if (Number(part) > 255) return null;
		word = word * 256 + Number(part);
	}
	return [word];
}

function parseV6(address: string): number[] | null {
	const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
	let hex = address;
	if (tail !== null) {
		const v4 = parseV4(tail[2] as string);
		if (v4 === null) return null;
		const word = v4[0] as number;
		hex = `${tail[1]}${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`;
	}
	const halves = hex.split("::");
	if (halves.length > 2) return null;
	const [head, rest] = halves.map((half) => (half === "" ? [] : half.split(":"))) as [string[], string[] | undefined];
	const given = head.length + (rest?.length ?? 0);
	if (rest === undefined ? given !== 8 : given > 7) return null;
	const groups = [...head, ...Array.from({ length: 8 - given }, () => "0"), ...(rest ?? [])];
	if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
	const numbers = groups.map((group) => Number.parseInt(group, 16));
	return [0, 2, 4, 6].map((at) => (numbers[at] as number) * 0x1_0000 + (numbers[at + 1] as number));
}
