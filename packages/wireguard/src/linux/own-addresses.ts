import type { Libc } from "./libc.ts";
import { requestRoute } from "./route-netlink.ts";

const setLink = 19;
const protocolSettings = 26;
const familyV6 = 10;
const generation = 8;
const none = 1;

/**
 * Keeps the kernel from giving an interface that is still down a link-local address of its own, as its own WireGuard
 * does: nobody hears it, it counts as an address of the host's, and it becomes valid up to a second after the interface
 * is up, whereupon browsers on the host break off what they ask for. A kernel that refuses it (false: IPv6 is off) makes
 * none either.
 */
export function refuseMadeAddresses(libc: Libc, interfaceIndex: number): boolean {
	// ifinfomsg 16, IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_ADDR_GEN_MODE u8 } }.
	const body = new Uint8Array(32);
	const view = new DataView(body.buffer);
	view.setInt32(4, interfaceIndex, true);
	[
		[16, protocolSettings],
		[12, familyV6],
		[5, generation],
	].forEach(([length, type], depth) => {
		view.setUint16(16 + depth * 4, length as number, true);
		view.setUint16(18 + depth * 4, type as number, true);
	});
	view.setUint8(28, none);
	return requestRoute(libc, setLink, 0, body) === 0;
}
