import type { OnReadOpts } from "node:net";
import { copyBelowBytes } from "../tunnel/link.ts";

/** Into this all sockets read that move little: what comes is taken before anything else is read. */
const sharedBuffer = Buffer.allocUnsafeSlow(64 * 1024);
/** What fills the shared one is followed by more: it is read in larger pieces, which are handed on as they are. */
const largeReadBytes = 128 * 1024;

/**
 * How a socket is read for a link, without a buffer for each of its reads.
 * @param take writes to a link: up to `copyBelowBytes` are the caller's only during the call.
 */
export function bytesRead(take: (bytes: Buffer) => void): OnReadOpts {
	let large = false;
	return {
		buffer: () => (large ? Buffer.allocUnsafeSlow(largeReadBytes) : sharedBuffer),
		callback(count, buffer) {
			const bytes = (buffer as Buffer).subarray(0, count);
			large = count >= sharedBuffer.length;
			take(buffer === sharedBuffer && count > copyBelowBytes ? Buffer.from(bytes) : bytes);
			// Who takes it pauses the socket: `false` would do so where `isPaused` does not tell.
			return true;
		},
	};
}
