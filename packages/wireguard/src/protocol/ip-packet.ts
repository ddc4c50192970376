/** Inner packets, read where they lie. Offsets into `bytes`; numbers as on the wire, big-endian. */
export const protocolTcp = 6;
export const protocolUdp = 17;
const fragmentHeader = 44;
const protocolIcmp4 = 1;
const protocolIcmp6 = 58;

/** Extension headers that are stepped over to find ports; more than that is nobody's honest packet. */
const maxExtensionHeaders = 8;

/**
 * The packet's own length, header included; -1 when what lies there is no packet of v4 or v6, or is longer than
 * `available`.
 */
export function packetLength(bytes: Uint8Array, offset: number, available: number): number {
	if (available < 20) return -1;
	const version = (bytes[offset] as number) >>> 4;
	if (version === 4) {
		const length = u16(bytes, offset + 2);
		const header = ((bytes[offset] as number) & 15) * 4;
		return header >= 20 && length >= header && length <= available ? length : -1;
	}
	if (version !== 6 || available < 40) return -1;
	const length = 40 + u16(bytes, offset + 4);
	return length <= available ? length : -1;
}

/** What rules and flows look at. Filled in place, so that judging a packet makes no garbage. */
export interface PacketFacts {
	version: 4 | 6;
	protocol: number;
	readonly source: Uint32Array;
	readonly destination: Uint32Array;
	sourcePort: number;
	destinationPort: number;
	/** A later fragment: it has no ports, and nothing of it is used unless the first one passed. */
	isLaterFragment: boolean;
	/** Ports were there to be read. */
	hasPorts: boolean;
	isIcmp: boolean;
	/** An ICMP error: it speaks of a flow that it quotes. */
	isIcmpError: boolean;
}

export function newFacts(): PacketFacts {
	return {
		version: 4,
		protocol: 0,
		source: new Uint32Array(4),
		destination: new Uint32Array(4),
		sourcePort: 0,
		destinationPort: 0,
		isLaterFragment: false,
		hasPorts: false,
		isIcmp: false,
		isIcmpError: false,
	};
}

/** Reads a packet whose length has been checked. v4 addresses fill the first word. */
export function readFacts(bytes: Uint8Array, offset: number, length: number, facts: PacketFacts): void {
	facts.isLaterFragment = false;
	facts.hasPorts = false;
	facts.sourcePort = facts.destinationPort = 0;
	let next: number;
	if ((bytes[offset] as number) >>> 4 === 4) {
		facts.version = 4;
		facts.protocol = bytes[offset + 9] as number;
		facts.source.fill(0);
		facts.destination.fill(0);
		facts.source[0] = u32(bytes, offset + 12);
		facts.destination[0] = u32(bytes, offset + 16);
		facts.isLaterFragment = (u16(bytes, offset + 6) & 0x1fff) !== 0;
		next = offset + ((bytes[offset] as number) & 15) * 4;
	} else {
		facts.version = 6;
		for (let word = 0; word < 4; word++) {
			facts.source[word] = u32(bytes, offset + 8 + word * 4);
			facts.destination[word] = u32(bytes, offset + 24 + word * 4);
		}
		next = skipExtensions(bytes, offset, length, facts);
	}
	const end = offset + length;
	const { protocol } = facts;
	facts.isIcmp = protocol === (facts.version === 4 ? protocolIcmp4 : protocolIcmp6);
	facts.isIcmpError = false;
	if (facts.isLaterFragment) return;
	if ((protocol === protocolTcp || protocol === protocolUdp) && next + 4 <= end) {
		facts.sourcePort = u16(bytes, next);
		facts.destinationPort = u16(bytes, next + 2);
		facts.hasPorts = true;
	} else if (facts.isIcmp && next + 8 <= end) {
		const type = bytes[next] as number;
		facts.isIcmpError = facts.version === 4 ? [3, 4, 5, 11, 12].includes(type) : type < 128;
		// An echo and its answer are one flow, by the identifier.
		facts.sourcePort = facts.destinationPort = u16(bytes, next + 4);
	}
}

/** Of a UDP datagram or its first fragment; -1 for everything else. For each packet: it looks at fixed places alone. */
export function udpSourcePort(bytes: Uint8Array, offset: number, length: number): number {
	let at: number;
	if ((bytes[offset] as number) >>> 4 === 4) {
		if (bytes[offset + 9] !== protocolUdp || (u16(bytes, offset + 6) & 0x1fff) !== 0) return -1;
		at = ((bytes[offset] as number) & 15) * 4;
	} else {
		const isFragment = bytes[offset + 6] === fragmentHeader && length >= 48;
		if ((isFragment ? bytes[offset + 40] : bytes[offset + 6]) !== protocolUdp) return -1;
		if (isFragment && (u16(bytes, offset + 42) & 0xfff8) !== 0) return -1;
		at = isFragment ? 48 : 40;
	}
	return at + 8 <= length ? u16(bytes, offset + at) : -1;
}

function skipExtensions(bytes: Uint8Array, offset: number, length: number, facts: PacketFacts): number {
	let protocol = bytes[offset + 6] as number;
	let at = offset + 40;
	const end = offset + length;
	for (let count = 0; count < maxExtensionHeaders; count++) {
		if (at + 8 > end) break;
		if (protocol === fragmentHeader) {
			facts.isLaterFragment = (u16(bytes, at + 2) & 0xfff8) !== 0;
			protocol = bytes[at] as number;
			at += 8;
			if (facts.isLaterFragment) break;
		} else if (protocol === 0 || protocol === 43 || protocol === 60) {
			protocol = bytes[at] as number;
			at += ((bytes[at + 1] as number) + 1) * 8;
		} else break;
	}
	facts.protocol = protocol;
	return at;
}

export function u16(bytes: Uint8Array, offset: number): number {
	return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

export function u32(bytes: Uint8Array, offset: number): number {
	return ((u16(bytes, offset) << 16) | u16(bytes, offset + 2)) >>> 0;
}

export function putU16(bytes: Uint8Array, offset: number, value: number): void {
	bytes[offset] = value >>> 8;
	bytes[offset + 1] = value;
}

export function putU32(bytes: Uint8Array, offset: number, value: number): void {
	putU16(bytes, offset, value >>> 16);
	putU16(bytes, offset + 2, value);
}
