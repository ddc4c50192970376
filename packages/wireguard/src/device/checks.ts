import { isSmallOrder, type OverlayPeer, type OverlayRule, type UdpEndpoint } from "@warren/kernel";
import { wireguardError } from "../errors.ts";
import { parseCidr } from "../protocol/cidr.ts";
import { keyBytes } from "../protocol/constants.ts";
import { endpointOf } from "../protocol/endpoint.ts";
import type { OverlayDeviceOptions } from "./overlay-device.ts";

/** v4's least, and the most that a sealed packet leaves of a datagram. */
const minMtu = 576;
const maxMtu = 65_535 - 28 - 32;
const maxKeepaliveSeconds = 65_535;
/** A datagram of another protocol: what passes everywhere. */
const maxDatagramBytes = 1452;
const maxRules = 10_000;

export function checkOptions(options: OverlayDeviceOptions): void {
	if (!/^[a-zA-Z0-9_.-]{1,15}$/.test(options.interfaceName))
		throw wireguardError("bad_name", `"${options.interfaceName}" is no interface name.`, {
			fix: "Use 1 to 15 letters, digits, dots, dashes or underscores.",
		});
	checkKey(options.privateKey);
	if (!Number.isInteger(options.listenPort) || options.listenPort < 0 || options.listenPort > 65_535)
		throw wireguardError("bad_endpoint", `${options.listenPort} is no UDP port.`);
	checkMtu(options.mtu);
	for (const address of options.addresses) checkCidr(address);
}

export function checkPeer(peer: OverlayPeer, ownKey: Uint8Array): void {
	checkKey(peer.publicKey);
	if (peer.publicKey.every((byte, at) => byte === ownKey[at]))
		throw wireguardError("own_key", "A peer was given this device's own public key.");
	if (isSmallOrder(peer.publicKey))
		throw wireguardError(
			"bad_public_key",
			"A peer's public key is a point of small order: nobody holds its private half.",
		);
	if (peer.presharedKey !== undefined) checkKey(peer.presharedKey);
	if (peer.endpoint !== undefined) checkEndpoint(peer.endpoint);
	for (const cidr of peer.allowedIps) checkCidr(cidr);
	const { keepalive = 0 } = peer;
	if (!Number.isInteger(keepalive) || keepalive < 0 || keepalive > maxKeepaliveSeconds)
		throw wireguardError(
			"bad_keepalive",
			`A keepalive of ${keepalive} s is not possible; it is 0 to ${maxKeepaliveSeconds}.`,
		);
}

export function checkKey(key: Uint8Array): Uint8Array {
	if (key.length !== keyBytes) throw wireguardError("bad_key", `A key of ${key.length} bytes was given.`);
	return key;
}

export function checkEndpoint(endpoint: UdpEndpoint): UdpEndpoint {
	if (endpointOf(endpoint.address, endpoint.port) === null)
		throw wireguardError("bad_endpoint", `${endpoint.address} port ${endpoint.port} is no endpoint.`);
	return endpoint;
}

export function checkMtu(bytes: number): number {
	if (!Number.isInteger(bytes) || bytes < minMtu || bytes > maxMtu)
		throw wireguardError("bad_mtu", `An MTU of ${bytes} is not possible; it is ${minMtu} to ${maxMtu}.`);
	return bytes;
}

export function checkBytes(bytes: Uint8Array): Uint8Array {
	if (bytes.length > maxDatagramBytes)
		throw wireguardError(
			"bad_endpoint",
			`A datagram of ${bytes.length} bytes is too long; ${maxDatagramBytes} pass everywhere.`,
		);
	return bytes;
}

export function checkRules(rules: readonly OverlayRule[]): readonly OverlayRule[] {
	if (rules.length > maxRules)
		throw wireguardError("bad_rule", `${rules.length} rules were given; ${maxRules} is the limit.`);
	for (const rule of rules) {
		for (const cidr of rule.addresses) checkCidr(cidr);
		for (const [from, to] of rule.ports ?? [])
			if (!(from >= 0 && from <= to && to <= 65_535))
				throw wireguardError("bad_rule", `Ports ${from} to ${to} are no range.`);
		if (rule.ports !== undefined && rule.protocol === "icmp")
			throw wireguardError("bad_rule", "A rule for icmp names ports, and icmp has none.");
	}
	return rules;
}

function checkCidr(text: string): void {
	if (parseCidr(text) === null) throw wireguardError("bad_cidr", `"${text}" is no address range.`);
}
