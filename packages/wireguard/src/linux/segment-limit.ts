import { maxTrainBytes, maxTrainSegments } from "../engine/arena.ts";
import { transportOverheadBytes } from "../protocol/constants.ts";
import type { Libc } from "./libc.ts";
import { requestRoute } from "./route-netlink.ts";

const setLink = 19;
const maxSegmentsAttribute = 40;

/**
 * Tells the kernel how many segments a super-packet may have, so that each becomes one train: a 64 KiB one would be cut
 * into a full train and a rest of one or two datagrams, at twice the calls, wake-ups and acknowledgements. Only a matter
 * of speed: a kernel that refuses it (false) is left alone.
 */
export function limitSegments(libc: Libc, interfaceIndex: number, mtu: number): boolean {
	const segments = Math.max(1, Math.min(maxTrainSegments, Math.floor(maxTrainBytes / (mtu + transportOverheadBytes))));
	// ifinfomsg 16, one attribute of 8.
	const body = new Uint8Array(24);
	const view = new DataView(body.buffer);
	view.setInt32(4, interfaceIndex, true);
	view.setUint16(16, 8, true);
	view.setUint16(18, maxSegmentsAttribute, true);
	view.setUint32(20, segments, true);
	return requestRoute(libc, setLink, 0, body) === 0;
}
