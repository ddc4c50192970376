import { nodePrimitives } from "../crypto/node-primitives.ts";
import type { OverlayDeviceDeps, OverlayDeviceOptions } from "../device/overlay-device.ts";
import { openLibc } from "../linux/libc.ts";
import { KernelDevice } from "./kernel-device.ts";
import { type KernelRefusal, openKernelInterface, removeLeftover } from "./kernel-interface.ts";
import { KernelWireguard } from "./kernel-wireguard.ts";
import { RuleTable } from "./rule-table.ts";

/** @throws WarrenError `device_failed` for what no other data plane would get either. */
export async function openKernelDevice(
	deps: OverlayDeviceDeps,
	options: OverlayDeviceOptions,
): Promise<KernelDevice | KernelRefusal> {
	const publicKey = nodePrimitives.publicKey(options.privateKey);
	const opened = await openKernelInterface(deps.libc ?? openLibc(), deps.clock, options, publicKey);
	if ("refused" in opened) return opened;
	try {
		return new KernelDevice(deps, opened, {
			timestampFile: options.timestampFile,
			mayLeave: options.dataPlane === "auto",
		});
	} catch (failure) {
		opened.close();
		throw failure;
	}
}

/** What a killed process left under this name, if it had our key: its interface and its rules. */
export async function removeKernelLeftover(deps: OverlayDeviceDeps, options: OverlayDeviceOptions): Promise<void> {
	const wireguard = KernelWireguard.open(deps.libc ?? openLibc());
	if (wireguard === null) return;
	try {
		if (removeLeftover(wireguard, options.interfaceName, nodePrimitives.publicKey(options.privateKey)))
			await RuleTable.prepare(options.interfaceName);
	} finally {
		wireguard.close();
	}
}
