import type { Cidr } from "../protocol/cidr.ts";
import { giveV6Address } from "./interface-address.ts";
import { type Libc, must, u32Bytes } from "./libc.ts";
import { refuseMadeAddresses } from "./own-addresses.ts";

export const nameBytes = 16;
const requestBytes = 40;

export interface InterfaceShape {
	readonly name: string;
	readonly mtu: number;
	readonly addresses: readonly Cidr[];
}

/**
 * Sets an interface's MTU, brings it up and gives it its addresses, and no others. @returns its index.
 * @throws SystemCallError.
 */
export function configureInterface(libc: Libc, { name, mtu, addresses }: InterfaceShape): number {
	const v4 = must(libc, libc.socket(2, 2 | 0x80000, 0), "socket");
	try {
		const withNumber = (request: number, value: number, call: string) => {
			const bytes = interfaceRequest(name);
			bytes.set(u32Bytes(value), nameBytes);
			must(libc, libc.ioctl(v4, request, bytes), call);
			return new DataView(bytes.buffer).getUint32(nameBytes, true);
		};
		withNumber(0x8922, mtu, `setting the MTU of ${name} to ${mtu}`);
		const index = withNumber(0x8933, 0, `finding the index of ${name}`);
		refuseMadeAddresses(libc, index);
		const up = 0x1 | 0x40;
		withNumber(0x8914, up, `bringing ${name} up`);
		let v4Count = 0;
		for (const address of addresses) {
			if (address.version === 6) {
				giveV6Address(libc, index, name, address);
				continue;
			}
			const label = v4Count === 0 ? name : `${name}:${v4Count}`;
			v4Count += 1;
			setV4(libc, v4, label, 0x8916, address.words[0] as number);
			const mask = address.length === 0 ? 0 : (0xffff_ffff << (32 - address.length)) >>> 0;
			setV4(libc, v4, label, 0x891c, mask);
		}
		return index;
	} finally {
		libc.close(v4);
	}
}

function setV4(libc: Libc, socket: number, label: string, request: number, word: number): void {
	const bytes = interfaceRequest(label);
	const view = new DataView(bytes.buffer);
	view.setUint16(nameBytes, 2, true);
	view.setUint32(nameBytes + 4, word);
	must(libc, libc.ioctl(socket, request, bytes), `giving ${label} its v4 address`);
}

/** `struct ifreq`, its name filled in. */
export function interfaceRequest(name: string): Uint8Array<ArrayBuffer> {
	const bytes = new Uint8Array(requestBytes);
	bytes.set(new TextEncoder().encode(name).subarray(0, nameBytes - 1));
	return bytes;
}
