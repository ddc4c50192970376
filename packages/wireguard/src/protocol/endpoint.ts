import { formatAddress, parseAddress } from "./cidr.ts";

/** Where a peer's datagrams go and come from: an address and a port, and the own address that it was heard on. */
export interface Endpoint {
	readonly address: string;
	readonly port: number;
	/** 16 bytes of address (v4 mapped into v6), 2 of port: what cookies are bound to, and what two are compared by. */
	readonly bytes: Uint8Array;
	/** The own address that it was received on, 16 bytes mapped, with the interface's index; null = the system's choice. */
	readonly local: { readonly address: Uint8Array; readonly interfaceIndex: number } | null;
}

/** null when `address` is no literal or `port` is none that can be sent to. */
export function endpointOf(address: string, port: number): Endpoint | null {
	const words = parseAddress(address.split("%")[0] as string);
	if (words === null || !Number.isInteger(port) || port < 1 || port > 65_535) return null;
	const mapped = words.length === 1 ? [0, 0, 0xffff, words[0] as number] : words;
	const bytes = new Uint8Array(18);
	const view = new DataView(bytes.buffer);
	mapped.forEach((word, at) => {
		view.setUint32(at * 4, word);
	});
	view.setUint16(16, port);
	return { address, port, bytes, local: null };
}

export function endpointFromBytes(bytes: Uint8Array, local: Endpoint["local"]): Endpoint {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const words = [0, 4, 8, 12].map((at) => view.getUint32(at));
	const isV4 = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
	return { address: formatAddress(isV4 ? words.slice(3) : words), port: view.getUint16(16), bytes, local };
}
