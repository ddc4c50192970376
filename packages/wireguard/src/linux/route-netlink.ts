import { type Libc, SystemCallError } from "./libc.ts";
import { NetlinkSocket, netlinkProtocols } from "./netlink-socket.ts";

/**
 * One request of rtnetlink(7), answered before this returns.
 * @param body what follows the message's header.
 * @returns 0, or the number of the error.
 */
export function requestRoute(libc: Libc, type: number, flags: number, body: Uint8Array): number {
	let socket: NetlinkSocket | undefined;
	try {
		socket = new NetlinkSocket(libc, netlinkProtocols.route);
		socket.request(type, flags, body, "a request to rtnetlink");
		return 0;
	} catch (failure) {
		if (failure instanceof SystemCallError) return failure.errno;
		throw failure;
	} finally {
		socket?.close();
	}
}
