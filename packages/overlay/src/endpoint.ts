import { BlockList, isIP, SocketAddress } from "node:net";

/** Never a place to send datagrams to: unspecified, multicast, broadcast, link-local v6 (it would need a zone). */
const unusable = new BlockList();
unusable.addSubnet("0.0.0.0", 8, "ipv4");
unusable.addSubnet("224.0.0.0", 3, "ipv4");
unusable.addSubnet("ff00::", 8, "ipv6");
unusable.addSubnet("fe80::", 10, "ipv6");
unusable.addAddress("::", "ipv6");
/** The overlay's own addresses: a tunnel through itself. */
unusable.addSubnet("fd5a:1f00::", 30, "ipv6");
const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
const privateRanges = new BlockList();
for (const [net, bits] of [
	["10.0.0.0", 8],
	["172.16.0.0", 12],
	["192.168.0.0", 16],
	["169.254.0.0", 16],
	["100.64.0.0", 10],
] as const)
	privateRanges.addSubnet(net, bits, "ipv4");
privateRanges.addSubnet("fc00::", 7, "ipv6");

export interface Endpoint {
	readonly address: string;
	readonly port: number;
}

/** `192.0.2.1:51820` or `[2001:db8::1]:51820`. @returns null unless datagrams may be sent there. */
export function parseEndpoint(text: string): Endpoint | null {
	const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text.trim());
	if (match === null) return null;
	const literal = (match[1] ?? match[2]) as string;
	const port = Number(match[3]);
	const family = isIP(literal);
	if (family === 0 || (match[1] !== undefined) !== (family === 6) || port < 1 || port > 65535) return null;
	const address = plainAddress(literal);
	return unusable.check(address, isIP(address) === 6 ? "ipv6" : "ipv4") ? null : { address, port };
}

export function formatEndpoint({ address, port }: Endpoint): string {
	return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function isLoopbackAddress(address: string): boolean {
	return isIP(address) !== 0 && loopback.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

export function isPrivateAddress(address: string): boolean {
	return isIP(address) !== 0 && privateRanges.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** One spelling each; IPv4-mapped ones as IPv4. */
export function plainAddress(literal: string): string {
	if (isIP(literal) !== 6) return literal;
	const short = new SocketAddress({ address: literal, family: "ipv6" }).address;
	return short.startsWith("::ffff:") && isIP(short.slice(7)) === 4 ? short.slice(7) : short;
}
