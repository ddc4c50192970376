import { errors, type Libc, SystemCallError } from "../linux/libc.ts";
import { NetlinkSocket, netlinkProtocols } from "../linux/netlink-socket.ts";
import { messageFlags } from "./netlink.ts";
import { deleteLink, newWireguardLink, routeTypes } from "./route-messages.ts";
import {
	controlFamily,
	familyIdOf,
	familyName,
	getDeviceBody,
	getFamilyBody,
	type KernelDeviceState,
	type PeerChange,
	readDevice,
	removePeerBody,
	setDeviceBody,
	setPeerBodies,
} from "./wireguard-messages.ts";

/** The kernel's own WireGuard, by name of an interface. Every call is answered before it returns. */
export class KernelWireguard {
	readonly #route: NetlinkSocket;
	readonly #generic: NetlinkSocket;
	readonly #family: number;

	private constructor(route: NetlinkSocket, generic: NetlinkSocket, family: number) {
		this.#route = route;
		this.#generic = generic;
		this.#family = family;
	}

	/** null = this kernel has none. @throws SystemCallError. */
	static open(libc: Libc): KernelWireguard | null {
		const generic = new NetlinkSocket(libc, netlinkProtocols.generic);
		try {
			const family = findFamily(generic);
			if (family !== null) return new KernelWireguard(new NetlinkSocket(libc, netlinkProtocols.route), generic, family);
		} catch (failure) {
			generic.close();
			throw failure;
		}
		generic.close();
		return null;
	}

	/** An interface that is down. @throws SystemCallError EEXIST when the name is taken. */
	create(name: string, mtu: number): void {
		const { create, excl } = messageFlags;
		this.#route.request(routeTypes.newLink, create | excl, newWireguardLink(name, mtu), `making ${name}`);
	}

	/** @returns whether there was one. */
	remove(name: string): boolean {
		try {
			this.#route.request(routeTypes.deleteLink, 0, deleteLink(name), `removing ${name}`);
			return true;
		} catch (failure) {
			if (failure instanceof SystemCallError && failure.errno === errors.ENODEV) return false;
			throw failure;
		}
	}

	setDevice(name: string, privateKey: Uint8Array, listenPort: number): void {
		this.#set(setDeviceBody(name, privateKey, listenPort), `configuring ${name}`);
	}

	setPeer(name: string, change: PeerChange): void {
		for (const body of setPeerBodies(name, change)) this.#set(body, `configuring a peer of ${name}`);
	}

	removePeer(name: string, publicKey: Uint8Array): void {
		this.#set(removePeerBody(name, publicKey), `removing a peer of ${name}`);
	}

	/** null = there is no such interface, or it is no WireGuard's. */
	read(name: string): KernelDeviceState | null {
		try {
			return readDevice(
				this.#generic.request(this.#family, messageFlags.dump, getDeviceBody(name), `reading the state of ${name}`),
			);
		} catch (failure) {
			if (!(failure instanceof SystemCallError)) throw failure;
			if (failure.errno === errors.ENODEV || failure.errno === errors.EOPNOTSUPP) return null;
			throw failure;
		}
	}

	/** A request to rtnetlink of somebody who knows more of routes. @throws SystemCallError. */
	route(type: number, flags: number, body: Uint8Array, call: string): void {
		this.#route.request(type, flags, body, call);
	}

	close(): void {
		this.#route.close();
		this.#generic.close();
	}

	#set(body: Uint8Array, call: string): void {
		this.#generic.request(this.#family, 0, body, call);
	}
}

/** Asking for it loads the module, where the system is set up to. */
function findFamily(generic: NetlinkSocket): number | null {
	try {
		const [answer] = generic.request(controlFamily, 0, getFamilyBody(familyName), "asking for the kernel's WireGuard");
		return answer === undefined ? null : familyIdOf(answer);
	} catch (failure) {
		if (failure instanceof SystemCallError && failure.errno === errors.ENOENT) return null;
		throw failure;
	}
}
