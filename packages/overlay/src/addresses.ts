import { BlockList, isIPv6, SocketAddress } from "node:net";
import { blake3 } from "@noble/hashes/blake3.js";
import { isSmallOrder } from "@warren/kernel";
import type { Ula, WireGuardKey } from "./protocol/peer-record.ts";

/** All that the overlay ever routes: peers and apps. */
export const peerBlock = "fd5a:1f00::/32";
export const appBlock = "fd5a:1f02::/32";
/** Where an app answers. */
export const appPort = 8730;
export const defaultNetwork = "default";
/** 16 bits, from 1. */
export const maxPeerIndex = 0xffff;

const peers = new BlockList();
peers.addSubnet("fd5a:1f00::", 32, "ipv6");
const apps = new BlockList();
apps.addSubnet("fd5a:1f02::", 32, "ipv6");

/** Reads base64 or base64url with or without padding, and space around it: keys are pasted. @returns null when it is no key, or one that nobody can hold. */
export function parseKey(text: string): WireGuardKey | null {
	const trimmed = text.trim().replaceAll("-", "+").replaceAll("_", "/");
	if (!/^[A-Za-z0-9+/]{43}=?$/.test(trimmed)) return null;
	const bytes = Buffer.from(trimmed, "base64");
	return bytes.length === 32 && !isSmallOrder(bytes) ? keyOf(bytes) : null;
}

/** @param bytes 32. */
export function keyOf(bytes: Uint8Array): WireGuardKey {
	return Buffer.from(bytes).toString("base64") as WireGuardKey;
}

export function keyBytes(key: WireGuardKey): Uint8Array {
	return new Uint8Array(Buffer.from(key, "base64"));
}

/** The 16 bits that stand for a network: 0 for the default one. */
export function networkHash(network: string): number {
	if (network === defaultNetwork) return 0;
	const digest = blake3(new TextEncoder().encode(network));
	return ((digest[0] as number) << 8) | (digest[1] as number) || 1;
}

/** `fd5a:1f00:0000:0001::1`. @param index 1 to 65535. */
export function peerUla(network: string, index: number): Ula {
	return `fd5a:1f00:${hex4(networkHash(network))}:${hex4(index)}::1` as Ula;
}

/** The index of a peer's address in this network, or null when it is not one. */
export function peerIndexOf(network: string, address: string): number | null {
	const groups = groupsOf(address);
	if (groups === null || groups[0] !== 0xfd5a || groups[1] !== 0x1f00 || groups[2] !== networkHash(network))
		return null;
	const rest = groups.slice(4);
	return groups[3] !== 0 && rest.every((each, at) => each === (at === 3 ? 1 : 0)) ? (groups[3] as number) : null;
}

/** `fd5a:1f02:<first 6 bytes of BLAKE3 of the UUID's 16 bytes>::1`. @returns null when it is no UUID. */
export function appUla(uuid: string): Ula | null {
	if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) return null;
	const digest = blake3(Buffer.from(uuid.replaceAll("-", ""), "hex"));
	const group = (at: number) => hex4(((digest[at] as number) << 8) | (digest[at + 1] as number));
	return canonicalUla(`fd5a:1f02:${group(0)}:${group(2)}:${group(4)}::1`);
}

/** @returns null unless it is an app's address: the block, six bytes, `::1`. */
export function parseAppUla(address: string): Ula | null {
	const groups = groupsOf(address.trim());
	if (groups === null || groups[0] !== 0xfd5a || groups[1] !== 0x1f02) return null;
	return groups[5] === 0 && groups[6] === 0 && groups[7] === 1 ? canonicalUla(address.trim()) : null;
}

/** RFC 5952, but a peer's address as the original spells it: four digits in its two middle groups. @returns null when it is no address of the overlay. */
export function canonicalUla(address: string): Ula | null {
	const trimmed = address.trim();
	if (!isIPv6(trimmed) || trimmed.includes("%")) return null;
	const short = new SocketAddress({ address: trimmed, family: "ipv6" }).address;
	if (apps.check(short, "ipv6")) return short as Ula;
	if (!peers.check(short, "ipv6")) return null;
	const groups = groupsOf(short) as number[];
	const isPeer = groups.slice(4).every((each, at) => each === (at === 3 ? 1 : 0));
	return (isPeer ? `fd5a:1f00:${hex4(groups[2] as number)}:${hex4(groups[3] as number)}::1` : short) as Ula;
}

function groupsOf(address: string): number[] | null {
	if (!isIPv6(address) || address.includes(".") || address.includes("%")) return null;
	const [left = "", right] = address.split("::");
	const parse = (half: string) => (half === "" ? [] : half.split(":").map((group) => Number.parseInt(group, 16)));
	const head = parse(left);
	if (right === undefined) return head;
	const tail = parse(right);
	return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function hex4(value: number): string {
	return value.toString(16).padStart(4, "0");
}
