import { maxTrainBytes, maxTrainSegments } from "../engine/arena.ts";
import { transportOverheadBytes } from "../protocol/constants.ts";
import type { Libc } from "./libc.ts";

const familyNetlink = 16;
const rawCloseOnExec = 3 | 0x80000;
const setLink = 19;
const requestWithAnswer = 0x1 | 0x4;
const maxSegmentsAttribute = 40;

/**
 * Tells the kernel how many segments a super-packet may have, so that each becomes one train: a 64 KiB one would be cut
 * into a full train and a rest of one or two datagrams, at twice the calls, wake-ups and acknowledgements. Only a matter
 * of speed: a kernel that refuses it (false) is left alone.
 */
export function limitSegments(libc: Libc, interfaceIndex: number, mtu: number): boolean {
	const segments = Math.max(1, Math.min(maxTrainSegments, Math.floor(maxTrainBytes / (mtu + transportOverheadBytes))));
	// nlmsghdr 16, ifinfomsg 16, one attribute of 8.
	const message = new Uint8Array(40);
	const view = new DataView(message.buffer);
	view.setUint32(0, message.length, true);
	view.setUint16(4, setLink, true);
	view.setUint16(6, requestWithAnswer, true);
	view.setInt32(20, interfaceIndex, true);
	view.setUint16(32, 8, true);
	view.setUint16(34, maxSegmentsAttribute, true);
	view.setUint32(36, segments, true);
	const socket = libc.socket(familyNetlink, rawCloseOnExec, 0);
	if (socket < 0) return false;
	try {
		const at = libc.addressOf(message);
		if (libc.write(socket, at, message.length) < 0) return false;
		const answer = new Uint8Array(256);
		// The kernel answers before `write` returns: an error message, whose number is 0 when all is well.
		const read = Number(libc.read(socket, libc.addressOf(answer), answer.length));
		return read >= 20 && new DataView(answer.buffer).getInt32(16, true) === 0;
	} finally {
		libc.close(socket);
	}
}
