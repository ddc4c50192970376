import { networkInterfaces } from "node:os";
import type { Clock } from "@warren/kernel";
import type { OverlayDeviceOptions } from "../device/overlay-device.ts";
import { TimestampStore } from "../device/timestamp-store.ts";
import { wireguardError } from "../errors.ts";
import { configureInterface } from "../linux/interface.ts";
import { errors, type Libc, SystemCallError } from "../linux/libc.ts";
import { interfaceAddress } from "../protocol/cidr.ts";
import { KernelWireguard } from "./kernel-wireguard.ts";
import { Lanes } from "./lanes.ts";
import { OtherDatagrams } from "./other-datagrams.ts";
import { PeerMtu } from "./peer-mtu.ts";
import { RuleTable } from "./rule-table.ts";

/** What the device needs of the host, open: close it to give everything back. */
export interface KernelInterface {
	readonly name: string;
	readonly listenPort: number;
	readonly publicKey: Uint8Array;
	readonly interfaceMtu: number;
	readonly wireguard: KernelWireguard;
	readonly others: OtherDatagrams;
	readonly lanes: Lanes;
	readonly mtu: PeerMtu;
	close(): void;
}

/** Why the kernel's WireGuard is not taken. `absent` = the host has none, which is no fault of it. */
export interface KernelRefusal {
	readonly refused: "absent" | "unfit";
	readonly reason: string;
}

/** How far ahead of this host's clock stamps may be that an engine of ours has used: it writes so far ahead. */
const stampsAheadSeconds = 61;

/**
 * Makes the interface, or says why this host's kernel cannot serve. What it made is gone then.
 * @throws WarrenError `device_failed` when the name or the port is taken: another data plane would not get them either.
 */
export async function openKernelInterface(
	libc: Libc,
	clock: Clock,
	options: OverlayDeviceOptions,
	ownPublicKey: Uint8Array,
): Promise<KernelInterface | KernelRefusal> {
	let wireguard: KernelWireguard | null;
	try {
		wireguard = KernelWireguard.open(libc);
	} catch (failure) {
		// Asking needs no privilege: a system that does not let us (some sandboxes) has none for us.
		return { ...unfit(failure), refused: "absent" };
	}
	if (wireguard === null) return { refused: "absent", reason: "This host's kernel has no WireGuard module." };
	try {
		const obstacle = await obstacleOf(clock, options);
		if (obstacle !== null) {
			wireguard.close();
			return { refused: "unfit", reason: obstacle };
		}
		removeLeftover(wireguard, options.interfaceName, ownPublicKey);
		wireguard.create(options.interfaceName, options.mtu);
	} catch (failure) {
		wireguard.close();
		return unfit(failure);
	}
	try {
		return open(libc, clock, wireguard, options, ownPublicKey);
	} catch (failure) {
		wireguard.remove(options.interfaceName);
		wireguard.close();
		if (failure instanceof SystemCallError && failure.errno === errors.EADDRINUSE)
			throw wireguardError(
				"device_failed",
				`${options.interfaceName} could not be made: binding UDP port ${options.listenPort} failed: EADDRINUSE.`,
			);
		return unfit(failure);
	}
}

/**
 * An interface of the kernel's outlives whoever made it. One that has our own key was ours, and its process is dead.
 * @returns whether there was one.
 */
export function removeLeftover(wireguard: KernelWireguard, name: string, ownPublicKey: Uint8Array): boolean {
	const left = wireguard.read(name)?.publicKey ?? null;
	return left !== null && Buffer.compare(left, ownPublicKey) === 0 && wireguard.remove(name);
}

function open(
	libc: Libc,
	clock: Clock,
	wireguard: KernelWireguard,
	options: OverlayDeviceOptions,
	publicKey: Uint8Array,
): KernelInterface {
	const { interfaceName: name, mtu: interfaceMtu } = options;
	wireguard.setDevice(name, options.privateKey, options.listenPort);
	const addresses = options.addresses.map(interfaceAddress);
	const index = configureInterface(libc, { name, mtu: interfaceMtu, addresses });
	const listenPort = wireguard.read(name)?.listenPort ?? 0;
	const others = new OtherDatagrams(libc, listenPort, () => clock.monotonic());
	let lanes: Lanes;
	try {
		lanes = new Lanes(libc, listenPort);
	} catch (failure) {
		others.close();
		throw failure;
	}
	return {
		...{ name, listenPort, publicKey: Uint8Array.from(publicKey), interfaceMtu, wireguard, others, lanes },
		mtu: new PeerMtu(wireguard, index, interfaceMtu),
		close: () => {
			others.close();
			lanes.close();
			wireguard.remove(name);
			wireguard.close();
		},
	};
}

/** What the plane needs of the host beside the module. */
async function obstacleOf(clock: Clock, options: OverlayDeviceOptions): Promise<string | null> {
	const hasLoopback = Object.values(networkInterfaces()).some((each) =>
		each?.some(({ address }) => address === "127.0.0.1"),
	);
	if (!hasLoopback) return "Its relay needs the loopback interface with 127.0.0.1, which is down here.";
	const floor = options.timestampFile === null ? 0 : new TimestampStore(options.timestampFile).read().seconds;
	const now = clock.now() / 1000;
	if (floor > now + stampsAheadSeconds)
		return "This host's clock is behind the stamps that its peers have seen, which the kernel does not know.";
	const filter = await RuleTable.prepare(options.interfaceName);
	return filter === null ? null : `Its rules need nftables: ${filter}.`;
}

function unfit(failure: unknown): KernelRefusal {
	if (!(failure instanceof SystemCallError)) throw failure;
	// EOPNOTSUPP: no such kind of link.
	return { refused: failure.errno === errors.EOPNOTSUPP ? "absent" : "unfit", reason: `${failure.message}.` };
}
