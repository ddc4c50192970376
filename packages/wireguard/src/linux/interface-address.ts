import type { Cidr } from "../protocol/cidr.ts";
import { errors, type Libc, SystemCallError } from "./libc.ts";
import { requestRoute } from "./route-netlink.ts";

const newAddress = 20;
const createOrReplace = 0x400 | 0x100;
const familyV6 = 10;
const noDuplicateDetection = 0x2;
/** IFA_ADDRESS and IFA_LOCAL. */
const attributes = [1, 2] as const;
const attributeBytes = 20;

/**
 * Gives an interface a v6 address that can be bound at once. SIOCSIFADDR cannot say that nobody else has it: the address
 * stays tentative until a worker of the kernel has looked at it, and until then binding it is EADDRNOTAVAIL.
 * @throws SystemCallError.
 */
export function giveV6Address(libc: Libc, interfaceIndex: number, name: string, address: Cidr): void {
	// ifaddrmsg 8, two attributes of 20.
	const body = new Uint8Array(8 + attributes.length * attributeBytes);
	const view = new DataView(body.buffer);
	body.set([familyV6, address.length, noDuplicateDetection, 0]);
	view.setInt32(4, interfaceIndex, true);
	attributes.forEach((attribute, index) => {
		const at = 8 + index * attributeBytes;
		view.setUint16(at, attributeBytes, true);
		view.setUint16(at + 2, attribute, true);
		address.words.forEach((word, each) => {
			view.setUint32(at + 4 + each * 4, word);
		});
	});
	const errno = requestRoute(libc, newAddress, createOrReplace, body);
	if (errno === errors.EACCES || errno === errors.EOPNOTSUPP)
		throw new SystemCallError(`giving ${name} its v6 address, with IPv6 turned off on this host,`, errors.EAFNOSUPPORT);
	if (errno !== 0) throw new SystemCallError(`giving ${name} its v6 address`, errno);
}
