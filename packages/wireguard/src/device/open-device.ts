import { readFileSync } from "node:fs";
import { messageOf, type OverlayDevice } from "@warren/kernel";
import { wireguardError } from "../errors.ts";
import { checkOptions } from "./checks.ts";
import {
	type OverlayDeviceDeps,
	type OverlayDeviceDetails,
	type OverlayDeviceOptions,
	WireguardDevice,
} from "./overlay-device.ts";

export type DetailedDevice = OverlayDevice & { status(): Promise<OverlayDeviceDetails> };

/**
 * Opens a WireGuard interface on this host. Needs Linux and the right to make interfaces. `auto` is offload, else portable;
 * why the faster one was refused is in the status and in health. The kernel's own WireGuard is taken where it is asked
 * for: in an emulated machine three of about 150 processes ended while they opened it, and the cause is not found yet.
 * @throws WarrenError `no_tun`, `no_kernel_wireguard`, `not_supported`, `bad_…` for an option, `device_failed` for what
 * the host refuses.
 */
export async function openOverlayDevice(
	deps: OverlayDeviceDeps,
	options: OverlayDeviceOptions,
): Promise<DetailedDevice> {
	checkOptions(options);
	if (process.platform !== "linux")
		throw wireguardError("not_supported", `A WireGuard interface needs Linux; this is ${process.platform}.`, {
			fix: "Run the joiner on a Linux machine; the others reach it through a node.",
		});
	const { dataPlane } = options;
	if (dataPlane === "kernel") {
		const opened = await openKernel(deps, options);
		if (!("refused" in opened)) return opened;
		throw wireguardError("no_kernel_wireguard", opened.reason);
	}
	await removeLeftoverOf(deps, options);
	if (dataPlane === "portable") return WireguardDevice.open(deps, { ...options, dataPlane }, null);
	try {
		return await WireguardDevice.open(deps, { ...options, dataPlane: "offload" }, null);
	} catch (failure) {
		if (dataPlane === "offload" || !isOffloadRefusal(failure)) throw failure;
		return WireguardDevice.open(deps, { ...options, dataPlane: "portable" }, messageOf(failure));
	}
}

/** Loaded only here: where the system calls' library has no binary, the rest of the program must not notice. */
async function openKernel(deps: OverlayDeviceDeps, options: OverlayDeviceOptions) {
	try {
		const { openKernelDevice } = await import("../kernel/open-kernel-device.ts");
		return await openKernelDevice(deps, options);
	} catch (failure) {
		if (!(failure instanceof Error) || !("code" in failure) || failure.code !== "MODULE_NOT_FOUND") throw failure;
		return { refused: "unfit", reason: `System calls cannot be made: ${failure.message}.` } as const;
	}
}

/** A process that was killed on the kernel's data plane has left its interface, under the name that is wanted now. */
async function removeLeftoverOf(deps: OverlayDeviceDeps, options: OverlayDeviceOptions): Promise<void> {
	if (!isKernelWireguard(options.interfaceName)) return;
	const { removeKernelLeftover } = await import("../kernel/open-kernel-device.ts");
	await removeKernelLeftover(deps, options);
}

/** Without asking the kernel's WireGuard, which would load it. */
function isKernelWireguard(name: string): boolean {
	try {
		return readFileSync(`/sys/class/net/${name}/uevent`, "utf8").includes("DEVTYPE=wireguard");
	} catch {
		// There is no such interface.
		return false;
	}
}

/** What another data plane would not help against must not be tried again. */
function isOffloadRefusal(failure: unknown): boolean {
	const { code } = failure as { code?: string };
	return code !== "no_tun" && !/binding UDP port|TUNSETIFF/.test(messageOf(failure));
}
