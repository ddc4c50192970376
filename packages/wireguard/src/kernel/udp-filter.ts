import { cookieReply, initiation, response, transport } from "../protocol/messages.ts";

/** Classic BPF, linux/filter.h: code u16 | jump when true u8 | when false u8 | constant u32. */
const code = {
	loadHeaderLength: 0xb1,
	loadHalf: 0x28,
	loadWord: 0x20,
	loadHalfAtIndex: 0x48,
	loadWordAtIndex: 0x40,
	jumpIfEqual: 0x15,
	give: 0x06,
} as const;
const instructionBytes = 8;
/** Of a datagram; a filter may shorten what it lets through. */
const whole = 0xffff;
const udpDestination = 2;
const udpPayload = 8;
const wireguardTypes = [initiation.type, response.type, cookieReply.type, transport.type];

/**
 * Lets through what comes to `port` and does not begin as a WireGuard message does. A raw socket of v4 is given the
 * packet from its IP header on, one of v6 from the UDP header on; a load beyond the end refuses the packet.
 */
export function udpFilter(version: 4 | 6, port: number): Uint8Array {
	const [loadHalf, loadWord] =
		version === 4 ? [code.loadHalfAtIndex, code.loadWordAtIndex] : [code.loadHalf, code.loadWord];
	const refuseAfter = wireguardTypes.length + 2;
	const instructions: [number, number, number, number][] = [
		...(version === 4 ? [[code.loadHeaderLength, 0, 0, 0] as [number, number, number, number]] : []),
		[loadHalf, 0, 0, udpDestination],
		[code.jumpIfEqual, 0, refuseAfter, port],
		[loadWord, 0, 0, udpPayload],
		// Little-endian on the wire, loaded as if it were big-endian.
		...wireguardTypes.map((type, at): [number, number, number, number] => [
			code.jumpIfEqual,
			wireguardTypes.length - at,
			0,
			type * 0x100_0000,
		]),
		[code.give, 0, 0, whole],
		[code.give, 0, 0, 0],
	];
	const bytes = new Uint8Array(instructions.length * instructionBytes);
	const view = new DataView(bytes.buffer);
	instructions.forEach(([operation, isTrue, isFalse, constant], at) => {
		view.setUint16(at * instructionBytes, operation, true);
		view.setUint8(at * instructionBytes + 2, isTrue);
		view.setUint8(at * instructionBytes + 3, isFalse);
		view.setUint32(at * instructionBytes + 4, constant, true);
	});
	return bytes;
}
