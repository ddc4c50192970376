import { Worker } from "node:worker_threads";
import {
	type Clock,
	type HealthTable,
	type Logger,
	messageOf,
	type OverlayDevice,
	type OverlayDeviceStatus,
	type OverlayPeer,
	type OverlayRoute,
	type OverlayRule,
	type Random,
	systemRandom,
	type UdpEndpoint,
	unreachable,
} from "@warren/kernel";
import { wireguardConditions } from "../conditions.ts";
import { wireguardError } from "../errors.ts";
import type { OpeningNoteOptions } from "../kernel/opening-note.ts";
import type { Libc } from "../linux/libc.ts";
import { Allowance } from "./allowance.ts";
import { checkBytes, checkEndpoint, checkKey, checkMtu, checkPeer, checkRules } from "./checks.ts";
import type { Command, Counters, EngineOptions, EngineWorkerData, Report } from "./commands.ts";

export interface OverlayDeviceDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly random?: Random;
	/** System calls other than the system's own, for what few hosts refuse. The engine then runs in the caller's thread. */
	readonly libc?: Libc;
}

export interface OverlayDeviceOptions {
	/** At most 15 characters. */
	readonly interfaceName: string;
	/** X25519, 32 bytes. The caller may zero its own afterwards. */
	readonly privateKey: Uint8Array;
	/** UDP; 0 = any. */
	readonly listenPort: number;
	/** Of the interface, with the prefix that lies behind it: `fd5a:1f00:0:1::1/32`. */
	readonly addresses: readonly string[];
	/** Of the inner packets, bytes; 1420 suits a path of 1500 over v6. */
	readonly mtu: number;
	/** `auto` takes the fastest that the host allows and that does all of `OverlayDevice`. */
	readonly dataPlane: "auto" | "kernel" | "offload" | "portable";
	/** Where the last handshake's time outlives the process; null = it does not, for tests. */
	readonly timestampFile: string | null;
	/** Where it is noted that the kernel's plane is being opened; none = a process that ends then is not noticed, for tests. */
	readonly openingNote?: OpeningNoteOptions;
}

/** What `wg show` would tell of what was refused, beside the interface's own status. */
export type OverlayDeviceDetails = OverlayDeviceStatus & { readonly counters: Counters };

/** Why a faster data plane is not taken. */
export interface Fallback {
	readonly reason: string;
	/** The file that tells of it, where the kernel's plane once ended a process. */
	readonly openingNote?: string;
}

interface Channel {
	post(command: Command): void;
	/** Ends it; resolves when the descriptors are closed. */
	close(): Promise<void>;
}

/** Status requests that wait; a worker that answers none is broken. */
const maxPendingStatus = 64;

/** For the engine's thread to close its descriptors while the process ends. */
const closeAtExitMs = 1000;

/** `OverlayDevice` over an engine in a worker (offload) or in this thread (portable). */
export class WireguardDevice implements OverlayDevice {
	readonly interfaceName: string;
	#listenPort = 0;
	#publicKey: Uint8Array = new Uint8Array(32);
	#dataPlane: "offload" | "portable";
	#fallback: Fallback | null;
	readonly #deps: OverlayDeviceDeps;
	#channel: Channel | undefined;
	#closing: Promise<void> | undefined;
	/** What its engine died of, or lost: nothing moves any more. */
	#died: Error | null = null;
	#onDatagram: (bytes: Uint8Array, from: UdpEndpoint) => void = () => {};
	#onRelay: (publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean) => void = () => {};
	#onPeerChange: (publicKey: Uint8Array) => void = () => {};
	#onUnfit: (reason: string) => void = () => {};
	#isUnfit = false;
	readonly #allowance = new Allowance();
	#nextStatus = 1;
	readonly #pending = new Map<
		number,
		{ resolve: (details: OverlayDeviceDetails) => void; reject: (fault: Error) => void }
	>();

	private constructor(deps: OverlayDeviceDeps, options: EngineOptions, fallback: Fallback | null) {
		this.#deps = deps;
		this.interfaceName = options.interfaceName;
		this.#dataPlane = options.dataPlane;
		this.#fallback = fallback;
	}

	/** Opens one data plane, no other. */
	static async open(
		deps: OverlayDeviceDeps,
		options: EngineOptions,
		fallback: Fallback | null,
	): Promise<WireguardDevice> {
		const device = new WireguardDevice(deps, options, fallback);
		const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
		const report = (message: Report) => {
			if (message.is === "refused") reject(refusal(message.message, message.code, options));
			else if (message.is === "died") failed(new Error(message.message));
			else device.#take(message, resolve);
		};
		let isOpen = false;
		const failed = (fault: Error) => {
			reject(fault);
			if (!isOpen) return;
			device.#died = fault;
			device.#fail(fault);
		};
		device.#channel =
			options.dataPlane === "offload" && deps.libc === undefined
				? inWorker(options, report, failed)
				: await inThread(deps, options, report);
		try {
			await ready;
			isOpen = true;
		} catch (failure) {
			await device.#channel.close();
			throw failure;
		}
		device.#noteFallback();
		return device;
	}

	get listenPort(): number {
		return this.#listenPort;
	}

	get publicKey(): Uint8Array {
		return Uint8Array.from(this.#publicKey);
	}

	setPeer(peer: OverlayPeer): void {
		checkPeer(peer, this.#publicKey);
		this.#post({ do: "setPeer", peer });
	}

	removePeer(publicKey: Uint8Array): void {
		this.#post({ do: "removePeer", publicKey: checkKey(publicKey) });
	}

	setRoute(publicKey: Uint8Array, route: OverlayRoute): void {
		this.#post({ do: "setRoute", publicKey: checkKey(publicKey), route });
	}

	setEndpoint(publicKey: Uint8Array, endpoint: UdpEndpoint): void {
		this.#post({ do: "setEndpoint", publicKey: checkKey(publicKey), endpoint: checkEndpoint(endpoint) });
	}

	setMtu(publicKey: Uint8Array, bytes: number): void {
		this.#post({ do: "setMtu", publicKey: checkKey(publicKey), bytes: checkMtu(bytes) });
	}

	setRules(rules: readonly OverlayRule[] | null): void {
		this.#post({ do: "setRules", rules: rules === null ? null : checkRules(rules) });
	}

	handshake(publicKey: Uint8Array): void {
		this.#post({ do: "handshake", publicKey: checkKey(publicKey) });
	}

	sendDatagram(bytes: Uint8Array, to: UdpEndpoint): void {
		checkEndpoint(to);
		if (this.#allowance.claim(checkBytes(bytes).length)) this.#post({ do: "sendDatagram", bytes, to });
	}

	onDatagram(handler: (bytes: Uint8Array, from: UdpEndpoint) => void): void {
		this.#onDatagram = handler;
	}

	onRelayDatagram(handler: (publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean) => void): void {
		this.#onRelay = handler;
	}

	receiveRelayed(publicKey: Uint8Array, bytes: Uint8Array): void {
		checkKey(publicKey);
		if (this.#allowance.claim(bytes.length)) this.#post({ do: "receiveRelayed", publicKey, bytes });
	}

	onPeerChange(handler: (publicKey: Uint8Array) => void): void {
		this.#onPeerChange = handler;
	}

	onUnfit(handler: (reason: string) => void): void {
		this.#onUnfit = handler;
	}

	status(): Promise<OverlayDeviceDetails> {
		return new Promise((resolve, reject) => {
			if (this.#closing !== undefined) return reject(closedError(this.interfaceName));
			if (this.#died !== null) return reject(this.#died);
			if (this.#pending.size >= maxPendingStatus)
				return reject(wireguardError("device_failed", `${this.interfaceName} has answered no status for a long time.`));
			const id = this.#nextStatus++;
			this.#pending.set(id, { resolve, reject });
			this.#post({ do: "status", id });
		});
	}

	close(): Promise<void> {
		this.#closing ??= (async () => {
			for (const { reject } of this.#pending.values()) reject(closedError(this.interfaceName));
			this.#pending.clear();
			for (const condition of Object.values(wireguardConditions))
				this.#deps.health.clear(condition, this.interfaceName);
			await this.#channel?.close();
		})();
		return this.#closing;
	}

	#post(command: Command): void {
		if (this.#closing !== undefined) return;
		this.#channel?.post(command);
	}

	#take(report: Exclude<Report, { is: "refused" | "died" }>, ready: () => void): void {
		switch (report.is) {
			case "ready":
				this.#listenPort = report.listenPort;
				this.#publicKey = report.publicKey;
				this.#fallback ??= report.fallback === null ? null : { reason: report.fallback };
				return ready();
			case "datagram":
				this.#taken(report.bytes);
				return this.#onDatagram(report.bytes, report.from);
			case "relay":
				this.#taken(report.bytes);
				return this.#onRelay(report.publicKey, report.bytes, report.urgent);
			case "taken":
				return this.#allowance.free(report.bytes);
			case "peerChange":
				this.#post({ do: "changeTaken", publicKey: report.publicKey });
				return this.#onPeerChange(report.publicKey);
			case "lost":
				this.#died = wireguardError("device_failed", report.reason);
				return this.#fail(this.#died);
			case "fallback":
				this.#fallback = { reason: report.reason };
				return this.#noteFallback();
			case "stamps":
				if (this.#closing === undefined) noteStamps(this.#deps.health, this.interfaceName, report.refused);
				return;
			case "status": {
				const pending = this.#pending.get(report.id);
				this.#pending.delete(report.id);
				return pending?.resolve({
					dataPlane: this.#dataPlane,
					fallback: this.#fallback?.reason ?? null,
					interfaceName: this.interfaceName,
					listenPort: this.#listenPort,
					publicKey: this.publicKey,
					peers: report.peers,
					counters: report.counters,
				});
			}
			case "closed":
				return;
			default:
				return unreachable(report);
		}
	}

	#taken(bytes: Uint8Array): void {
		const lot = this.#allowance.take(bytes.length);
		if (lot > 0) this.#post({ do: "taken", bytes: lot });
	}

	#noteFallback(): void {
		if (this.#fallback === null) return;
		const { reason, openingNote } = this.#fallback;
		this.#deps.logger.warn("overlay: a slower data plane", { interface: this.interfaceName, reason });
		const { slowDataPlane, kernelSetAside } = wireguardConditions;
		const values = { interface: this.interfaceName, plane: this.#dataPlane, reason, file: openingNote ?? "" };
		this.#deps.health.raise(openingNote === undefined ? slowDataPlane : kernelSetAside, values, this.interfaceName);
	}

	#fail(fault: Error): void {
		this.#deps.logger.error("overlay: the data plane died", { interface: this.interfaceName, fault: fault.message });
		this.#deps.health.raise(
			wireguardConditions.dataPlaneDead,
			{ interface: this.interfaceName, reason: fault.message },
			this.interfaceName,
		);
		for (const { reject } of this.#pending.values()) reject(fault);
		this.#pending.clear();
		if (this.#isUnfit || this.#closing !== undefined) return;
		this.#isUnfit = true;
		this.#onUnfit(`its data plane died: ${fault.message}`);
	}
}

/** For health: whether the stamps of handshakes outlive the process. */
export function noteStamps(health: HealthTable, interfaceName: string, refused: string | null): void {
	const { stampsUnkept } = wireguardConditions;
	if (refused === null) health.clear(stampsUnkept, interfaceName);
	else health.raise(stampsUnkept, { interface: interfaceName, reason: refused }, interfaceName);
}

function inWorker(options: EngineOptions, report: (report: Report) => void, failed: (fault: Error) => void): Channel {
	const closed = new Int32Array(new SharedArrayBuffer(4));
	const worker = new Worker(new URL("./engine-worker.ts", import.meta.url), {
		workerData: { options, closed } satisfies EngineWorkerData,
	});
	// A process that ends without closing it would tear it down with its descriptors watched, and abort.
	const closeFirst = () => {
		worker.postMessage({ do: "close" } satisfies Command);
		Atomics.wait(closed, 0, 0, closeAtExitMs);
	};
	process.once("exit", closeFirst);
	const exited = new Promise<void>((resolve) => {
		worker.once("exit", () => {
			process.off("exit", closeFirst);
			resolve();
		});
	});
	worker.on("message", report);
	worker.on("error", failed);
	return {
		post: (command) => worker.postMessage(command),
		close: async () => {
			worker.postMessage({ do: "close" } satisfies Command);
			await exited;
		},
	};
}

async function inThread(
	deps: OverlayDeviceDeps,
	options: EngineOptions,
	report: (report: Report) => void,
): Promise<Channel> {
	try {
		// Loaded only here: where the system calls' library has no binary, the rest of the program must not notice.
		const { openEngineHost } = await import("./engine-host.ts");
		const { clock, random = systemRandom, libc } = deps;
		const host = await openEngineHost({ clock, random, report, ...(libc === undefined ? {} : { libc }) }, options);
		return {
			post: (command) => host.command(command),
			close: () => {
				host.close();
				return Promise.resolve();
			},
		};
	} catch (failure) {
		const { errno } = failure as { errno?: number };
		throw refusal(messageOf(failure), errno === undefined ? "" : String(errno), options);
	}
}

function refusal(message: string, code: string, { interfaceName }: EngineOptions): Error {
	if (["1", "2", "13", "19"].includes(code))
		return wireguardError("no_tun", `${interfaceName} could not be made: ${message}.`, {
			fix: "It needs /dev/net/tun and the right to use it: run as root, or give the process CAP_NET_ADMIN.",
			details: { errno: Number(code) },
		});
	return wireguardError("device_failed", `${interfaceName} could not be made: ${message}.`);
}

function closedError(name: string): Error {
	return wireguardError("closed", `${name} is closed.`);
}
