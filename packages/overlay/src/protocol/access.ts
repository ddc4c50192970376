/** Inclusive port ranges, sorted, apart from each other. */
export type PortRanges = readonly (readonly [number, number])[];

/** What one side may open towards the other: per protocol. `other` is every protocol without a word of its own here. */
export interface Access {
	readonly tcp: PortRanges;
	readonly udp: PortRanges;
	readonly icmp: boolean;
	readonly other: boolean;
}

export type Protocol = "tcp" | "udp" | "icmp";

const allPorts: PortRanges = [[0, 65535]];
export const noAccess: Access = { tcp: [], udp: [], icmp: false, other: false };

/** As a rule's `proto` and `ports` cover it. @param ports null = all. */
export function coverage(proto: Protocol | null, ports: PortRanges | null): Access {
	return {
		tcp: proto === null || proto === "tcp" ? (ports ?? allPorts) : [],
		udp: proto === null || proto === "udp" ? (ports ?? allPorts) : [],
		icmp: proto === "icmp" || (proto === null && ports === null),
		other: proto === null && ports === null,
	};
}

export function union(a: Access, b: Access): Access {
	return {
		tcp: join(a.tcp, b.tcp),
		udp: join(a.udp, b.udp),
		icmp: a.icmp || b.icmp,
		other: a.other || b.other,
	};
}

/** What `a` has and `b` has not. */
export function minus(a: Access, b: Access): Access {
	return {
		tcp: cut(a.tcp, b.tcp),
		udp: cut(a.udp, b.udp),
		icmp: a.icmp && !b.icmp,
		other: a.other && !b.other,
	};
}

export function isNone(access: Access): boolean {
	return access.tcp.length === 0 && access.udp.length === 0 && !access.icmp && !access.other;
}

export function isFull(access: Access): boolean {
	return access.icmp && access.other && isAll(access.tcp) && isAll(access.udp);
}

export function allows(access: Access, proto: Protocol, port: number | null): boolean {
	if (proto === "icmp") return access.icmp;
	const ranges = access[proto];
	return port === null ? isAll(ranges) : ranges.some(([from, to]) => from <= port && port <= to);
}

/** For people: `tcp 22, 8000-8010`, `udp`, `icmp`; everything is one word. */
export function wordsOf(access: Access): string[] {
	if (isFull(access)) return ["everything"];
	const words: string[] = [];
	for (const proto of ["tcp", "udp"] as const) {
		if (isAll(access[proto])) words.push(proto);
		else if (access[proto].length > 0)
			words.push(`${proto} ${access[proto].map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(", ")}`);
	}
	if (access.icmp) words.push("icmp");
	if (access.other) words.push("other protocols");
	return words;
}

function isAll(ranges: PortRanges): boolean {
	return ranges.length === 1 && ranges[0]?.[0] === 0 && ranges[0][1] === 65535;
}

function join(a: PortRanges, b: PortRanges): PortRanges {
	const joined: [number, number][] = [];
	for (const [from, to] of [...a, ...b].sort((x, y) => x[0] - y[0])) {
		const last = joined.at(-1);
		if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
		else joined.push([from, to]);
	}
	return joined;
}

function cut(a: PortRanges, b: PortRanges): PortRanges {
	let left: [number, number][] = a.map(([from, to]) => [from, to]);
	for (const [from, to] of b) {
		left = left.flatMap(([start, end]): [number, number][] => {
			if (to < start || end < from) return [[start, end]];
			const parts: [number, number][] = [];
			if (start < from) parts.push([start, from - 1]);
			if (to < end) parts.push([to + 1, end]);
			return parts;
		});
	}
	return left;
}
