import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { OverlayDeviceStatus, OverlayPeer } from "@warren/kernel";
import { nodePrimitives } from "./crypto/node-primitives.ts";
import type { OverlayDeviceOptions } from "./index.ts";
import type { Refusal } from "./refusing-libc.testing.ts";

/** Why network tests cannot run here; null = they can. */
export function missingForNamespaces(...tools: readonly string[]): string | null {
	if (process.getuid?.() !== 0) return "network namespaces need root";
	if (!existsSync("/dev/net/tun")) return "this host has no /dev/net/tun";
	for (const tool of ["ip", "ping", ...tools])
		if (spawnSync("which", [tool]).status !== 0) return `${tool} is not installed`;
	return null;
}

/** Whether this host's kernel makes interfaces of its own WireGuard; one that it could load counts. */
export function kernelHasWireguard(): boolean {
	const name = `wrn${process.pid}-probe`;
	spawnSync("ip", ["netns", "add", name]);
	try {
		return spawnSync("ip", ["-n", name, "link", "add", "wg0", "type", "wireguard"]).status === 0;
	} finally {
		spawnSync("ip", ["netns", "del", name]);
	}
}

/** Where wireguard-go is, by either of its names; null = not installed. */
export function wireguardGo(): string | null {
	const found = spawnSync("which", ["wireguard-go"], { encoding: "utf8" });
	const named = process.env["WARREN_TEST_WIREGUARD_GO"];
	return found.status === 0 ? found.stdout.trim() : named !== undefined && existsSync(named) ? named : null;
}

export function boringtun(): string | null {
	const found = spawnSync("which", ["boringtun-cli"], { encoding: "utf8" });
	const named = process.env["WARREN_TEST_BORINGTUN"];
	return found.status === 0 ? found.stdout.trim() : named !== undefined && existsSync(named) ? named : null;
}

const commandTimeoutMs = 120_000;
/** For answers that do come: an emulated machine on a busy host takes its time. */
const pingPatienceSeconds = 60;
/** Of what a process complains of, the last. */
const maxSaidCharacters = 4_000;
const bytesToHex = (_key: string, value: unknown) =>
	value instanceof Uint8Array ? { $hex: Buffer.from(value).toString("hex") } : value;
const hexToBytes = (_key: string, value: unknown) =>
	typeof value === "object" && value !== null && "$hex" in value
		? Uint8Array.from(Buffer.from(value.$hex as string, "hex"))
		: value;

/** Namespaces of this process, with all that was started in them; gone with `close`. */
export class NetworkLab {
	readonly #prefix = `wrn${process.pid}-`;
	readonly #names: string[] = [];
	readonly #children: ChildProcess[] = [];
	readonly #folder = mkdtempSync(join(tmpdir(), "warren-wireguard-"));

	constructor() {
		reapDead();
	}

	/** A host with its loopback up. */
	host(name: string): string {
		const full = `${this.#prefix}${name}`;
		this.ip("netns", "add", full);
		this.#names.push(full);
		this.ip("-n", full, "link", "set", "lo", "up");
		return full;
	}

	/** A cable between two hosts; each end gets its addresses. */
	cable(
		a: string,
		aAddresses: readonly string[],
		b: string,
		bAddresses: readonly string[],
		mtu = 1500,
	): [string, string] {
		const number = this.#cables++;
		const ends: [string, string] = [`va${number}`, `vb${number}`];
		// Made inside, so that the machine's own network never sees them.
		const peer = ["type", "veth", "peer", "name", ends[1], "mtu", String(mtu), "netns", b];
		this.ip("-n", a, "link", "add", ends[0], "mtu", String(mtu), ...peer);
		for (const [host, end, addresses] of [
			[a, ends[0], aAddresses],
			[b, ends[1], bAddresses],
		] as const) {
			for (const address of addresses)
				this.ip("-n", host, "addr", "add", address, "dev", end, ...(address.includes(":") ? ["nodad"] : []));
			this.ip("-n", host, "link", "set", end, "up");
		}
		return ends;
	}
	#cables = 0;

	ip(...args: readonly string[]): string {
		return execFileSync("ip", args, { encoding: "utf8", timeout: commandTimeoutMs });
	}

	/** Runs a command in a host. @throws Error with its output when it fails. */
	run(host: string, command: string, ...args: readonly string[]): string {
		const done = spawnSync("ip", ["netns", "exec", host, command, ...args], {
			encoding: "utf8",
			timeout: commandTimeoutMs,
		});
		if (done.status !== 0) throw new Error(`${command} ${args.join(" ")} in ${host}: ${done.stdout}${done.stderr}`);
		return done.stdout;
	}

	/** Starts what goes on until `close`. */
	start(
		host: string,
		command: string,
		args: readonly string[],
		stdio: "ignore" | "pipe" = "ignore",
		faults: "ignore" | "pipe" = "ignore",
	): ChildProcess {
		const child = spawn("ip", ["netns", "exec", host, command, ...args], { stdio: [stdio, stdio, faults] });
		this.#children.push(child);
		return child;
	}

	/**
	 * Sends pings until `count` have come back, or a minute; with `none` expected, `count` pings and no more.
	 * @returns how many of the first `count` came back. (ping's own wait after the last one is two round trips, which a
	 * busy machine exceeds: hence the deadline.)
	 */
	ping(
		host: string,
		to: string,
		{ count = 3, bytes = 56, pathMtu = false, expects = "all" as "all" | "none" } = {},
	): number {
		const patience = expects === "none" ? ["-W", "1"] : ["-w", String(pingPatienceSeconds)];
		const shape = ["-i", "0.1", "-c", String(count), "-s", String(bytes), ...(pathMtu ? ["-M", "do"] : [])];
		const done = spawnSync("ip", ["netns", "exec", host, "ping", ...patience, ...shape, to], {
			encoding: "utf8",
			timeout: commandTimeoutMs,
		});
		return answered(done.stdout, count);
	}

	/** Pings while this process goes on; `ping` holds it up. @returns how many came back. */
	async pingAside(host: string, to: string, count: number): Promise<number> {
		const child = this.start(
			host,
			"ping",
			["-i", "0.2", "-w", String(pingPatienceSeconds), "-c", String(count), to],
			"pipe",
		);
		let output = "";
		for await (const chunk of child.stdout!) output += String(chunk);
		return answered(output, count);
	}

	/** A file of secrets, 0600. */
	file(name: string, content: string): string {
		const path = join(this.#folder, name);
		writeFileSync(path, content, { mode: 0o600 });
		return path;
	}

	/** One of our devices, in a process of its own in `host`. */
	async device(
		host: string,
		options: Partial<OverlayDeviceOptions> & { readonly privateKey: Uint8Array; readonly refuses?: Refusal },
	): Promise<LabDevice> {
		const program = join(import.meta.dirname, "device-process.testing.ts");
		const child = this.start(host, process.execPath, [program], "pipe", "pipe");
		return LabDevice.open(child, {
			interfaceName: "wg0",
			listenPort: 51820,
			addresses: [],
			mtu: 1420,
			dataPlane: "offload",
			timestampFile: null,
			...options,
		});
	}

	/** wireguard-go or boringtun-cli as `interfaceName`, configured by wg. */
	async other(
		host: string,
		program: string,
		interfaceName: string,
		configuration: string,
		addresses: readonly string[],
	): Promise<void> {
		const args = program.includes("boringtun")
			? ["-f", "--disable-drop-privileges", interfaceName]
			: ["-f", interfaceName];
		const child = spawn("ip", ["netns", "exec", host, program, ...args], {
			stdio: "ignore",
			env: { ...process.env, WG_PROCESS_FOREGROUND: "1", WG_SUDO: "1" },
		});
		this.#children.push(child);
		const deadline = Date.now() + 30_000;
		// It tells nobody when its socket is there: the socket is looked for, a bounded number of times.
		while (!existsSync(`/var/run/wireguard/${interfaceName}.sock`)) {
			if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${program} did not come up`);
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
		this.run(host, "wg", "setconf", interfaceName, this.file(`${interfaceName}.conf`, configuration));
		for (const address of addresses) this.ip("-n", host, "addr", "add", address, "dev", interfaceName);
		this.ip("-n", host, "link", "set", interfaceName, "mtu", "1420", "up");
	}

	async close(): Promise<void> {
		for (const child of this.#children) {
			if (child.exitCode !== null || child.signalCode !== null) continue;
			const gone = new Promise<void>((resolve) => {
				child.once("exit", () => resolve());
			});
			child.kill("SIGTERM");
			await gone;
		}
		for (const name of this.#names) spawnSync("ip", ["netns", "del", name]);
		rmSync(this.#folder, { recursive: true, force: true });
	}
}

/** Calls a device in another process; see device-process.testing.ts. */
export class LabDevice {
	readonly publicKey: Uint8Array;
	readonly process: ChildProcess;
	readonly events: { readonly event: string; readonly args: readonly unknown[] }[] = [];
	#next = 1;
	readonly #waiting = new Map<number, (answer: { result?: unknown; error?: string }) => void>();
	#onEvent: () => void = () => {};
	#onEach: () => void = () => {};

	private constructor(child: ChildProcess, publicKey: Uint8Array) {
		this.process = child;
		this.publicKey = publicKey;
	}

	static async open(
		child: ChildProcess,
		options: OverlayDeviceOptions & { readonly refuses?: Refusal },
	): Promise<LabDevice> {
		const device = new LabDevice(child, nodePrimitives.publicKey(options.privateKey));
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		createInterface({ input: child.stdout! }).on("line", (line) => {
			const message = JSON.parse(line, hexToBytes) as Record<string, unknown>;
			if ("ready" in message) resolve();
			else if ("refused" in message) reject(new Error(message["refused"] as string));
			else if ("event" in message) {
				device.events.push(message as never);
				device.#onEvent();
				device.#onEach();
			} else {
				device.#waiting.get(message["id"] as number)?.(message);
				device.#waiting.delete(message["id"] as number);
			}
		});
		let said = "";
		child.stderr!.setEncoding("utf8").on("data", (text: string) => {
			said = `${said}${text}`.slice(-maxSaidCharacters);
		});
		// After its last line was read, which says why.
		child.once("close", (code, signal) => {
			const error = `the device's process ended (${signal ?? code})${said === "" ? "" : `: ${said.trim()}`}`;
			reject(new Error(error));
			for (const answer of device.#waiting.values()) answer({ error });
			device.#waiting.clear();
		});
		child.stdin!.on("error", () => {});
		child.stdin!.write(`${JSON.stringify(options, bytesToHex)}\n`);
		await promise;
		return device;
	}

	async call<T = unknown>(call: string, ...args: readonly unknown[]): Promise<T> {
		const id = this.#next++;
		const answer = new Promise<{ result?: unknown; error?: string }>((resolve) => {
			this.#waiting.set(id, resolve);
		});
		this.process.stdin!.write(`${JSON.stringify({ id, call, args }, bytesToHex)}\n`);
		const { result, error } = await answer;
		if (error !== undefined) throw new Error(error);
		return result as T;
	}

	setPeer(peer: OverlayPeer): Promise<unknown> {
		return this.call("setPeer", peer);
	}

	status(): Promise<OverlayDeviceStatus & { counters: Record<string, number> }> {
		return this.call("status");
	}

	/** Resolves with the first event, past or future, that fits; `at` counts them from the start. */
	async event(fits: (event: string, args: readonly unknown[], at: number) => boolean): Promise<readonly unknown[]> {
		for (;;) {
			const found = this.events.find(({ event, args }, at) => fits(event, args, at));
			if (found !== undefined) return found.args;
			await new Promise<void>((resolve) => {
				this.#onEvent = resolve;
			});
		}
	}

	/** Calls back after each event, from the ones that have been on. */
	follow(handler: () => void): void {
		this.#onEach = handler;
		handler();
	}

	/** Ends it as an operator would. */
	async stop(): Promise<void> {
		const gone = new Promise((resolve) => {
			this.process.once("exit", resolve);
		});
		this.process.stdin!.end();
		await gone;
	}
}

/** How many of the first `count` pings have an answer in ping's output. */
export function answered(output: string, count: number): number {
	const numbers = [...output.matchAll(/icmp_seq=(\d+) ttl=/g)].map(([, number]) => Number(number));
	return new Set(numbers.filter((number) => number <= count)).size;
}

/** Namespaces of test runs that were killed. */
function reapDead(): void {
	const listed = spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout ?? "";
	for (const [, name, pid] of listed.matchAll(/^(wrn(\d+)-\S+)/gm))
		if (!readdirSync("/proc").includes(pid as string)) spawnSync("ip", ["netns", "del", name as string]);
}
