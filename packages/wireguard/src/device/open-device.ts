import { readFileSync } from "node:fs";
import { messageOf, type OverlayDevice } from "@warren/kernel";
import { wireguardError } from "../errors.ts";
import type { KernelRefusal } from "../kernel/kernel-interface.ts";
import { describeOpening, OpeningNote } from "../kernel/opening-note.ts";
import { checkOptions } from "./checks.ts";
import {
	type Fallback,
	type OverlayDeviceDeps,
	type OverlayDeviceDetails,
	type OverlayDeviceOptions,
	WireguardDevice,
} from "./overlay-device.ts";

export type DetailedDevice = OverlayDevice & { status(): Promise<OverlayDeviceDetails> };

/**
 * Opens a WireGuard interface on this host. Needs Linux and the right to make interfaces. `auto` is the kernel's own
 * WireGuard where that is there, can serve, and has not ended a process before; else offload, else portable. Why a
 * faster one was not taken is in the status and in health. A kernel without the module is no fault.
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
	if (dataPlane === "offload" || dataPlane === "portable") return openOwn(deps, options, null);
	const setAside = dataPlane === "auto" ? setAsideBy(options) : null;
	if (setAside !== null) return openOwn(deps, options, setAside);
	const opened = await openNoted(deps, options);
	if (!("refused" in opened)) return opened;
	if (dataPlane === "kernel") throw wireguardError("no_kernel_wireguard", opened.reason);
	const reason = `the kernel's own WireGuard cannot serve here: ${opened.reason.replace(/\.$/, "")}`;
	return openOwn(deps, options, opened.refused === "absent" ? null : { reason });
}

/** One of the two planes of our own. @param fallback why the kernel's is not taken, if that is worth telling. */
async function openOwn(
	deps: OverlayDeviceDeps,
	options: OverlayDeviceOptions,
	fallback: Fallback | null,
): Promise<WireguardDevice> {
	const { dataPlane } = options;
	await removeLeftoverOf(deps, options);
	if (dataPlane === "portable") return WireguardDevice.open(deps, { ...options, dataPlane }, null);
	try {
		return await WireguardDevice.open(deps, { ...options, dataPlane: "offload" }, fallback);
	} catch (failure) {
		if (dataPlane === "offload" || !isOffloadRefusal(failure)) throw failure;
		const reason = [messageOf(failure), ...(fallback === null ? [] : [fallback.reason])].join("; ");
		return WireguardDevice.open(deps, { ...options, dataPlane: "portable" }, { ...fallback, reason });
	}
}

/** An earlier start whose end nobody saw. */
function setAsideBy({ openingNote }: OverlayDeviceOptions): Fallback | null {
	const earlier = openingNote === undefined ? null : new OpeningNote(openingNote).read();
	if (openingNote === undefined || earlier === null) return null;
	return { reason: describeOpening(earlier), openingNote: openingNote.file };
}

/** The kernel's plane, with a note on disk until it has answered. */
async function openNoted(
	deps: OverlayDeviceDeps,
	options: OverlayDeviceOptions,
): Promise<DetailedDevice | KernelRefusal> {
	const note = options.openingNote === undefined ? null : new OpeningNote(options.openingNote);
	try {
		note?.write(deps.clock.now());
	} catch (failure) {
		return { refused: "unfit", reason: `That it is being opened cannot be noted: ${messageOf(failure)}.` };
	}
	try {
		const opened = await openKernel(deps, options);
		if ("refused" in opened) return opened;
		try {
			await opened.status();
			return opened;
		} catch (failure) {
			await opened.close();
			throw failure;
		}
	} finally {
		note?.remove();
	}
}

/** Loaded only here: where the system calls' library has no binary, the rest of the program must not notice. */
async function openKernel(
	deps: OverlayDeviceDeps,
	options: OverlayDeviceOptions,
): Promise<DetailedDevice | KernelRefusal> {
	try {
		const { openKernelDevice } = await import("../kernel/open-kernel-device.ts");
		return await openKernelDevice(deps, options);
	} catch (failure) {
		if (!(failure instanceof Error) || !("code" in failure) || failure.code !== "MODULE_NOT_FOUND") throw failure;
		return { refused: "unfit", reason: `System calls cannot be made: ${failure.message}.` };
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
