import type { UdpEndpoint } from "@warren/kernel";
import { type Cidr, formatAddress, formatCidr } from "../protocol/cidr.ts";
import { keyBytes } from "../protocol/constants.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { attribute, attributes, joined, numberOf, text, u8, u16, u32 } from "./netlink.ts";

/**
 * The kernel's interface to its WireGuard, linux/wireguard.h: generic netlink, family "wireguard", version 1. A body is
 * command u8 | version u8 | 0 u16 | attributes.
 */
const commands = { getDevice: 0, setDevice: 1 } as const;
const deviceAttributes = { name: 2, privateKey: 3, publicKey: 4, listenPort: 6, peers: 8 } as const;
const peerAttributes = {
	...{ publicKey: 1, presharedKey: 2, flags: 3, endpoint: 4, keepalive: 5 },
	...{ lastHandshake: 6, receivedBytes: 7, sentBytes: 8, allowedIps: 9 },
} as const;
const allowedIpAttributes = { family: 1, address: 2, length: 3 } as const;
const peerFlags = { remove: 1, replaceAllowedIps: 2, updateOnly: 4 } as const;

const familyV4 = 2;
const familyV6 = 10;
/** An attribute holds 64 KiB, and one of these takes at most 48 bytes. */
const allowedIpsPerMessage = 1000;

const controlCommand = { getFamily: 3 } as const;
const controlAttributes = { familyId: 1, familyName: 2 } as const;
/** Of the family that tells of families. */
export const controlFamily = 0x10;
export const familyName = "wireguard";

export function getFamilyBody(name: string): Uint8Array {
	return joined([genericHeader(controlCommand.getFamily, 1), attribute(controlAttributes.familyName, text(name))]);
}

/** @returns null when the answer names none. */
export function familyIdOf(body: Uint8Array): number | null {
	for (const { type, value } of attributes(body.subarray(4)))
		if (type === controlAttributes.familyId) return numberOf(value);
	return null;
}

export function getDeviceBody(name: string): Uint8Array {
	return joined([genericHeader(commands.getDevice, 1), attribute(deviceAttributes.name, text(name))]);
}

export function setDeviceBody(name: string, privateKey: Uint8Array, listenPort: number): Uint8Array {
	return joined([
		genericHeader(commands.setDevice, 1),
		attribute(deviceAttributes.name, text(name)),
		attribute(deviceAttributes.privateKey, privateKey),
		attribute(deviceAttributes.listenPort, u16(listenPort)),
	]);
}

/** What is not named stays as it is. */
export interface PeerChange {
	readonly publicKey: Uint8Array;
	readonly presharedKey?: Uint8Array;
	readonly endpoint?: Endpoint;
	/** Seconds. */
	readonly keepalive?: number;
	/** All that it has from now on. */
	readonly allowedIps?: readonly Cidr[];
	/** A peer that is not there is not made. */
	readonly updateOnly?: boolean;
}

/** The messages' bodies, in order: one, unless the peer has very many addresses. */
export function setPeerBodies(name: string, change: PeerChange): Uint8Array[] {
	const { allowedIps } = change;
	const first = allowedIps?.slice(0, allowedIpsPerMessage);
	const bodies = [peerBody(name, peerOf(change, first, allowedIps !== undefined))];
	for (let at = allowedIpsPerMessage; at < (allowedIps?.length ?? 0); at += allowedIpsPerMessage) {
		const more = allowedIps?.slice(at, at + allowedIpsPerMessage);
		bodies.push(peerBody(name, peerOf({ publicKey: change.publicKey, updateOnly: true }, more, false)));
	}
	return bodies;
}

export function removePeerBody(name: string, publicKey: Uint8Array): Uint8Array {
	return peerBody(name, [
		attribute(peerAttributes.publicKey, publicKey),
		attribute(peerAttributes.flags, u32(peerFlags.remove)),
	]);
}

export interface KernelPeer {
	readonly publicKey: Uint8Array;
	readonly endpoint: UdpEndpoint | null;
	readonly allowedIps: string[];
	/** Wall clock, ms; null = never. */
	readonly lastHandshakeAt: number | null;
	readonly receivedBytes: number;
	readonly sentBytes: number;
}

export interface KernelDeviceState {
	readonly listenPort: number;
	readonly publicKey: Uint8Array | null;
	readonly peers: readonly KernelPeer[];
}

/** @param bodies of a dump's messages: a peer with many addresses goes on in the next one, under the same key. */
export function readDevice(bodies: Iterable<Uint8Array>): KernelDeviceState {
	let listenPort = 0;
	let publicKey: Uint8Array | null = null;
	const peers: KernelPeer[] = [];
	for (const body of bodies)
		for (const { type, value } of attributes(body.subarray(4))) {
			if (type === deviceAttributes.listenPort) listenPort = numberOf(value);
			else if (type === deviceAttributes.publicKey && value.length === keyBytes) publicKey = Uint8Array.from(value);
			else if (type === deviceAttributes.peers)
				for (const member of attributes(value)) {
					const peer = readPeer(member.value);
					const last = peers.at(-1);
					if (last !== undefined && Buffer.compare(last.publicKey, peer.publicKey) === 0)
						last.allowedIps.push(...peer.allowedIps);
					else peers.push(peer);
				}
		}
	return { listenPort, publicKey, peers };
}

/** `struct sockaddr_in` or `sockaddr_in6`: family in the host's order, port in the network's. */
export function socketAddress(endpoint: Endpoint): Uint8Array {
	const isV4 = !endpoint.address.includes(":");
	const bytes = new Uint8Array(isV4 ? 16 : 28);
	bytes.set(u16(isV4 ? familyV4 : familyV6));
	bytes.set(endpoint.bytes.subarray(16, 18), 2);
	if (isV4) bytes.set(endpoint.bytes.subarray(12, 16), 4);
	else bytes.set(endpoint.bytes.subarray(0, 16), 8);
	return bytes;
}

/** null when it is neither family's. */
export function endpointOfSocketAddress(bytes: Uint8Array): UdpEndpoint | null {
	if (bytes.length < 16) return null;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const family = view.getUint16(0, true);
	const port = view.getUint16(2);
	if (family === familyV4) return { address: formatAddress([view.getUint32(4)]), port };
	if (family !== familyV6 || bytes.length < 28) return null;
	return { address: formatAddress([8, 12, 16, 20].map((at) => view.getUint32(at))), port };
}

function genericHeader(command: number, version: number): Uint8Array {
	return Uint8Array.of(command, version, 0, 0);
}

function peerBody(name: string, peer: readonly Uint8Array[]): Uint8Array {
	return joined([
		genericHeader(commands.setDevice, 1),
		attribute(deviceAttributes.name, text(name)),
		attribute(deviceAttributes.peers, [attribute(0, peer)]),
	]);
}

function peerOf(change: PeerChange, allowedIps: readonly Cidr[] | undefined, replaces: boolean): Uint8Array[] {
	const flags = (replaces ? peerFlags.replaceAllowedIps : 0) | (change.updateOnly === true ? peerFlags.updateOnly : 0);
	const { endpoint, presharedKey, keepalive } = change;
	return [
		attribute(peerAttributes.publicKey, change.publicKey),
		...(presharedKey === undefined ? [] : [attribute(peerAttributes.presharedKey, presharedKey)]),
		...(endpoint === undefined ? [] : [attribute(peerAttributes.endpoint, socketAddress(endpoint))]),
		...(keepalive === undefined ? [] : [attribute(peerAttributes.keepalive, u16(keepalive))]),
		attribute(peerAttributes.flags, u32(flags)),
		...(allowedIps === undefined ? [] : [attribute(peerAttributes.allowedIps, allowedIps.map(allowedIp))]),
	];
}

function allowedIp(cidr: Cidr): Uint8Array {
	const address = new Uint8Array(cidr.words.length * 4);
	const view = new DataView(address.buffer);
	cidr.words.forEach((word, at) => {
		view.setUint32(at * 4, word);
	});
	return attribute(0, [
		attribute(allowedIpAttributes.family, u16(cidr.version === 4 ? familyV4 : familyV6)),
		attribute(allowedIpAttributes.address, address),
		attribute(allowedIpAttributes.length, u8(cidr.length)),
	]);
}

function readPeer(bytes: Uint8Array): KernelPeer {
	let publicKey: Uint8Array = new Uint8Array(keyBytes);
	let endpoint: UdpEndpoint | null = null;
	let lastHandshakeAt: number | null = null;
	let receivedBytes = 0;
	let sentBytes = 0;
	const allowedIps: string[] = [];
	for (const { type, value } of attributes(bytes))
		switch (type) {
			case peerAttributes.publicKey:
				publicKey = Uint8Array.from(value);
				break;
			case peerAttributes.endpoint:
				endpoint = endpointOfSocketAddress(value);
				break;
			case peerAttributes.lastHandshake: {
				// Seconds and nanoseconds, 64 bits each.
				const seconds = numberOf(value.subarray(0, 8));
				if (seconds > 0) lastHandshakeAt = seconds * 1000 + Math.floor(numberOf(value.subarray(8, 16)) / 1e6);
				break;
			}
			case peerAttributes.receivedBytes:
				receivedBytes = numberOf(value);
				break;
			case peerAttributes.sentBytes:
				sentBytes = numberOf(value);
				break;
			case peerAttributes.allowedIps:
				for (const { value: each } of attributes(value)) {
					const text = readAllowedIp(each);
					if (text !== null) allowedIps.push(text);
				}
				break;
			default:
		}
	return { publicKey, endpoint, allowedIps, lastHandshakeAt, receivedBytes, sentBytes };
}

function readAllowedIp(bytes: Uint8Array): string | null {
	let words: number[] = [];
	let length = 0;
	for (const { type, value } of attributes(bytes)) {
		const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
		if (type === allowedIpAttributes.address && (value.length === 4 || value.length === 16))
			words = Array.from({ length: value.length / 4 }, (_, at) => view.getUint32(at * 4));
		else if (type === allowedIpAttributes.length) length = numberOf(value);
	}
	return words.length === 0 ? null : formatCidr({ version: words.length === 1 ? 4 : 6, words, length });
}
