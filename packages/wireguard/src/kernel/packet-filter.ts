import type { OverlayRule } from "@warren/kernel";
import { type Cidr, formatCidr, maskOf, parseCidr } from "../protocol/cidr.ts";
import { limits } from "../protocol/constants.ts";

/**
 * Rules as nftables understands them (nft(8)): what comes from a peer is judged before anything else of this host sees
 * it, what goes to one after all else, forwarded packets both times. Flows that a rule let begin are remembered in sets
 * of this table's own, so that nothing depends on connection tracking, and new rules forget them.
 */
export function tableName(interfaceName: string): string {
	return `warren-${interfaceName}`;
}

/** Removes the table, whether it is there or not. */
export function dropTable(interfaceName: string): string {
	const name = tableName(interfaceName);
	return `table inet ${name}\ndelete table inet ${name}\n`;
}

/** Puts the rules in the place of those before, at once. null = the table goes. */
export function packetFilter(interfaceName: string, rules: readonly OverlayRule[] | null): string {
	if (rules === null) return dropTable(interfaceName);
	return [
		dropTable(interfaceName),
		`table inet ${tableName(interfaceName)} {`,
		...families.flatMap(flowSets),
		...beginChain("begin_in", "in"),
		...beginChain("begin_out", "out"),
		...judgeChain("judge_in", "in", rules),
		...judgeChain("judge_out", "out", rules),
		`chain from_peers { type filter hook prerouting priority -300; policy accept; iifname "${interfaceName}" jump judge_in; }`,
		`chain to_peers { type filter hook postrouting priority 300; policy accept; oifname "${interfaceName}" jump judge_out; }`,
		"}",
		"",
	].join("\n");
}

/** The kernel compares each new unnamed set with all others: thousands of small rules would take it minutes with one each. */
const maxSpelledOut = 16;

type Direction = OverlayRule["direction"];
interface Family {
	readonly version: 4 | 6;
	readonly keyword: "ip" | "ip6";
	readonly type: "ipv4_addr" | "ipv6_addr";
	readonly nfproto: "ipv4" | "ipv6";
	readonly icmp: 1 | 58;
	/** An echo and its answer; one flow by the identifier. */
	readonly echo: string;
	readonly echoId: string;
	readonly isLaterFragment: string;
}
const families: readonly Family[] = [
	{
		...{ version: 4, keyword: "ip", type: "ipv4_addr", nfproto: "ipv4", icmp: 1 },
		...{ echo: "icmp type { 0, 8 }", echoId: "icmp id" },
		isLaterFragment: "ip frag-off & 0x1fff != 0",
	},
	{
		...{ version: 6, keyword: "ip6", type: "ipv6_addr", nfproto: "ipv6", icmp: 58 },
		...{ echo: "icmpv6 type { 128, 129 }", echoId: "icmpv6 id" },
		isLaterFragment: "frag frag-off != 0",
	},
];
const tcpSeconds = limits.tcpFlowMs / 1000;
const otherSeconds = limits.otherFlowMs / 1000;

function flowSets({ version, keyword, type, echoId }: Family): string[] {
	const shape = `flags dynamic,timeout; size ${limits.flows}; timeout ${otherSeconds}s;`;
	return [
		`set flows${version} { type inet_proto . ${type} . inet_service . ${type} . inet_service; ${shape} }`,
		`set echoes${version} { typeof ${keyword} saddr . ${keyword} daddr . ${echoId}; ${shape} }`,
		`set others${version} { type inet_proto . ${type} . ${type}; ${shape} }`,
	];
}

/** Protocol, near address and port, far address and port, as a packet of that direction has them. */
function flowOf({ keyword }: Family, direction: Direction): string {
	const [near, nearPort, far, farPort] =
		direction === "out" ? ["saddr", "sport", "daddr", "dport"] : ["daddr", "dport", "saddr", "sport"];
	return `meta l4proto . ${keyword} ${near} . th ${nearPort} . ${keyword} ${far} . th ${farPort}`;
}

function echoOf(family: Family, direction: Direction): string {
	return `${addressesOf(family, direction)} . ${family.echoId}`;
}

function otherOf(family: Family, direction: Direction): string {
	return `meta l4proto . ${addressesOf(family, direction)}`;
}

function addressesOf({ keyword }: Family, direction: Direction): string {
	const [near, far] = direction === "out" ? ["saddr", "daddr"] : ["daddr", "saddr"];
	return `${keyword} ${near} . ${keyword} ${far}`;
}

/** Remembers what begins here. A full set refuses the line and not the packet: only its answers will need a rule. */
function beginChain(name: string, direction: Direction): string[] {
	return [
		`chain ${name} {`,
		...families.flatMap((family) => {
			const flow = flowOf(family, direction);
			const set = `@flows${family.version}`;
			return [
				`meta l4proto 6 update ${set} { ${flow} timeout ${tcpSeconds}s }`,
				`meta l4proto 17 update ${set} { ${flow} timeout ${otherSeconds}s }`,
				`${family.echo} update @echoes${family.version} { ${echoOf(family, direction)} timeout ${otherSeconds}s }`,
				`meta nfproto ${family.nfproto} meta l4proto != { 6, 17, 1, 58 } update @others${family.version} { ${otherOf(family, direction)} timeout ${otherSeconds}s }`,
			];
		}),
		"accept",
		"}",
	];
}

function judgeChain(name: string, direction: Direction, rules: readonly OverlayRule[]): string[] {
	const begin = direction === "in" ? "begin_in" : "begin_out";
	return [
		`chain ${name} {`,
		// Errors speak of flows from routers on the way too; they carry no connection of their own.
		"icmpv6 type 1-127 accept",
		"icmp type { 3, 4, 5, 11, 12 } accept",
		// What was let begin may be answered, and go on.
		...families.flatMap((family) => {
			const flow = flowOf(family, direction);
			return [
				`meta l4proto { 6, 17 } ${flow} @flows${family.version} goto ${begin}`,
				`${family.echo} ${echoOf(family, direction)} @echoes${family.version} goto ${begin}`,
				`meta nfproto ${family.nfproto} ${otherOf(family, direction)} @others${family.version} goto ${begin}`,
			];
		}),
		...families.flatMap((family) => [
			...laterFragments(family, direction, rules),
			...rules
				.filter((rule) => rule.direction === direction)
				.flatMap((rule) => ruleLines(family, direction, rule).map((match) => `${match} goto ${begin}`)),
		]),
		"drop",
		"}",
	];
}

/** They have no ports: nothing comes of one unless the first, which has them, was let through. */
function laterFragments(family: Family, direction: Direction, rules: readonly OverlayRule[]): string[] {
	const addresses = addressesIn(
		family,
		rules.flatMap((rule) => rule.addresses),
	);
	return addresses.length === 0
		? []
		: [`${family.keyword} ${farWord(direction)} ${setOf(addresses)} ${family.isLaterFragment} accept`];
}

function ruleLines(family: Family, direction: Direction, rule: OverlayRule): string[] {
	const addresses = addressesIn(family, rule.addresses);
	if (addresses.length === 0) return [];
	const far = (address: string) => `${family.keyword} ${farWord(direction)} ${address}`;
	if (rule.protocol === "icmp") return [`${far(setOf(addresses))} meta l4proto ${family.icmp}`];
	const protocol = rule.protocol === undefined ? "" : ` meta l4proto ${rule.protocol === "tcp" ? 6 : 17}`;
	if (rule.ports === undefined) return [`${far(setOf(addresses))}${protocol}`];
	const ports = portsIn(rule.ports);
	if (ports.length === 0) return [];
	const line = (address: string, port: string) =>
		`${far(address)}${protocol === "" ? " meta l4proto { 6, 17 }" : protocol} th dport ${port}`;
	return addresses.length * ports.length > maxSpelledOut
		? [line(setOf(addresses), setOf(ports))]
		: addresses.flatMap((address) => ports.map((port) => line(address, port)));
}

function farWord(direction: Direction): string {
	return direction === "in" ? "saddr" : "daddr";
}

/** nft refuses sets whose members overlap: what lies within another is left out. */
function addressesIn({ version }: Family, texts: readonly string[]): string[] {
	const cidrs = new Map<string, Cidr>();
	for (const text of texts) {
		const cidr = parseCidr(text);
		if (cidr?.version === version) cidrs.set(formatCidr(cidr), cidr);
	}
	const wide = [...cidrs.values()].filter((cidr) => cidr.length < cidr.words.length * 32);
	const kept = [...cidrs].filter(
		([, cidr]) => !wide.some((other) => other.length < cidr.length && covers(other, cidr)),
	);
	return kept.map(([text]) => text);
}

function setOf(members: readonly string[]): string {
	return `{ ${members.join(", ")} }`;
}

function covers(wide: Cidr, cidr: Cidr): boolean {
	return wide.words.every((word, at) => (((cidr.words[at] as number) ^ word) & maskOf(wide.length, at)) === 0);
}

/** Ranges that touch or overlap become one. */
function portsIn(ranges: readonly (readonly [number, number])[]): string[] {
	const merged: [number, number][] = [];
	for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
		const last = merged.at(-1);
		if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
		else merged.push([from, to]);
	}
	return merged.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
}
