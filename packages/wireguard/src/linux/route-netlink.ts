import type { Libc } from "./libc.ts";

const familyNetlink = 16;
const rawCloseOnExec = 3 | 0x80000;
const requestWithAnswer = 0x1 | 0x4;
/** nlmsghdr of the answer, then its number. */
const numberAt = 16;
const answerBytes = 256;
const headerBytes = 16;

/**
 * One request of rtnetlink(7), answered before this returns.
 * @param body what follows the message's header.
 * @returns 0, or the number of the error.
 */
export function requestRoute(libc: Libc, type: number, flags: number, body: Uint8Array): number {
	const message = new Uint8Array(headerBytes + body.length);
	const view = new DataView(message.buffer);
	view.setUint32(0, message.length, true);
	view.setUint16(4, type, true);
	view.setUint16(6, requestWithAnswer | flags, true);
	message.set(body, headerBytes);
	const socket = libc.socket(familyNetlink, rawCloseOnExec, 0);
	if (socket < 0) return libc.errno();
	try {
		if (libc.write(socket, libc.addressOf(message), message.length) < 0) return libc.errno();
		const answer = new Uint8Array(answerBytes);
		// The kernel answers before `write` returns: an error message, whose number is 0 when all is well.
		const read = Number(libc.read(socket, libc.addressOf(answer), answer.length));
		if (read < 0) return libc.errno();
		return read < numberAt + 4 ? incomplete : -new DataView(answer.buffer).getInt32(numberAt, true);
	} finally {
		libc.close(socket);
	}
}

/** EPROTO: what came is no answer. */
const incomplete = 71;
