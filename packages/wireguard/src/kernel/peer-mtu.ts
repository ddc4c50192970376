import { SystemCallError } from "../linux/libc.ts";
import { type Cidr, formatCidr } from "../protocol/cidr.ts";
import type { KernelWireguard } from "./kernel-wireguard.ts";
import { messageFlags } from "./netlink.ts";
import { mtuRoute, routeTypes } from "./route-messages.ts";

/** Before the routes that others make (1024 unless they say), so that those may come and go. v4 has no such order. */
const priorityV6 = 512;
/** ESRCH: no such route, and ENODEV: no such interface any more. */
const goneAlready: readonly number[] = [3, 19];

/**
 * How large packets to one address may be, where that is less than the interface takes: a route of its own. The system
 * then cuts, announces or answers too-big by itself.
 */
export class PeerMtu {
	readonly #kernel: KernelWireguard;
	readonly #interfaceIndex: number;
	readonly #interfaceMtu: number;
	readonly #narrow = new Map<string, number>();

	constructor(kernel: KernelWireguard, interfaceIndex: number, interfaceMtu: number) {
		this.#kernel = kernel;
		this.#interfaceIndex = interfaceIndex;
		this.#interfaceMtu = interfaceMtu;
	}

	/** @throws SystemCallError. */
	set(addresses: readonly Cidr[], mtu: number): void {
		const { create, replace } = messageFlags;
		for (const each of addresses) {
			const name = formatCidr(each);
			if (mtu >= this.#interfaceMtu) this.#widen(each);
			else if (this.#narrow.get(name) !== mtu) {
				this.#request(routeTypes.newRoute, create | replace, each, mtu);
				this.#narrow.set(name, mtu);
			}
		}
	}

	/** For addresses that are nobody's any more. @throws SystemCallError. */
	clear(addresses: readonly Cidr[]): void {
		for (const each of addresses) this.#widen(each);
	}

	#widen(address: Cidr): void {
		if (!this.#narrow.delete(formatCidr(address))) return;
		const { create, replace } = messageFlags;
		// One of v4 took another's place: it is widened, not removed.
		if (address.version === 4) return this.#request(routeTypes.newRoute, create | replace, address, this.#interfaceMtu);
		try {
			this.#request(routeTypes.deleteRoute, 0, address, this.#interfaceMtu);
		} catch (failure) {
			if (!(failure instanceof SystemCallError) || !goneAlready.includes(failure.errno)) throw failure;
		}
	}

	#request(type: number, flags: number, to: Cidr, mtu: number): void {
		const body = mtuRoute(to, this.#interfaceIndex, to.version === 6 ? priorityV6 : 0, mtu);
		this.#kernel.route(type, flags, body, "setting a peer's MTU");
	}
}
