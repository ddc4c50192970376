import { putU16, putU32, u16 } from "./ip-packet.ts";

/** As much of the refused packet as an answer quotes: enough for any sender to find its socket. */
const quotedBytes4 = 548;
const quotedBytes6 = 1232;
const minMtu6 = 1280;

/**
 * The answer to a packet that does not fit: ICMPv4 "fragmentation needed" (RFC 792, RFC 1191) or ICMPv6 "packet too big"
 * (RFC 4443), from the packet's destination to its source. null when none may be sent: to a v4 packet that may be
 * fragmented, to an ICMP error, to a later fragment.
 */
export function tooBigAnswer(packet: Uint8Array, mtu: number): Uint8Array | null {
	return (packet[0] as number) >>> 4 === 4 ? answer4(packet, mtu) : answer6(packet, mtu);
}

function answer4(packet: Uint8Array, mtu: number): Uint8Array | null {
	const fragment = u16(packet, 6);
	if ((fragment & 0x1fff) !== 0) return null;
	const header = ((packet[0] as number) & 15) * 4;
	if (packet[9] === 1 && [3, 4, 5, 11, 12].includes(packet[header] as number)) return null;
	const quoted = packet.subarray(0, Math.min(packet.length, quotedBytes4));
	const answer = new Uint8Array(28 + quoted.length);
	answer[0] = 0x45;
	putU16(answer, 2, answer.length);
	answer[8] = 64;
	answer[9] = 1;
	answer.set(packet.subarray(16, 20), 12);
	answer.set(packet.subarray(12, 16), 16);
	putU16(answer, 10, ~sum(answer, 0, 20, 0) & 0xffff);
	answer[20] = 3;
	answer[21] = 4;
	putU16(answer, 26, mtu);
	answer.set(quoted, 28);
	putU16(answer, 22, ~sum(answer, 20, answer.length, 0) & 0xffff);
	return answer;
}

function answer6(packet: Uint8Array, mtu: number): Uint8Array | null {
	if (packet[6] === 58 && (packet[40] as number) < 128) return null;
	const quoted = packet.subarray(0, Math.min(packet.length, quotedBytes6 - 48));
	const answer = new Uint8Array(48 + quoted.length);
	answer[0] = 0x60;
	putU16(answer, 4, 8 + quoted.length);
	answer[6] = 58;
	answer[7] = 64;
	answer.set(packet.subarray(24, 40), 8);
	answer.set(packet.subarray(8, 24), 24);
	answer[40] = 2;
	putU32(answer, 44, Math.max(mtu, minMtu6));
	answer.set(quoted, 48);
	putU16(answer, 42, ~sum(answer, 8, answer.length, 58 + 8 + quoted.length) & 0xffff);
	return answer;
}

/** RFC 1071, from `from` to `to`. */
function sum(bytes: Uint8Array, from: number, to: number, initial: number): number {
	let total = initial;
	for (let at = from; at < to; at += 2)
		total += ((bytes[at] as number) << 8) | (at + 1 < to ? (bytes[at + 1] as number) : 0);
	while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x1_0000);
	return total;
}
