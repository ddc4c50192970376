import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

export const inner = { a: ["10.9.0.1/24", "fd09::1/64"], b: ["10.9.0.2/24", "fd09::2/64"] } as const;
export const outer = { a: "10.200.0.1", b: "10.200.0.2" } as const;

/** Why the bench cannot run here; null = it can. */
export function obstacle(): string | null {
	if (process.getuid?.() !== 0) return "network namespaces need root";
	if (!existsSync("/dev/net/tun")) return "this host has no /dev/net/tun";
	for (const tool of ["ip", "iperf3", "ping", "wg"])
		if (spawnSync("which", [tool]).status !== 0) return `${tool} is not installed`;
	return null;
}

/** Two namespaces joined by a veth pair; their names carry this process's id. */
export class TwoHosts {
	readonly a = `wrb${process.pid}-a`;
	readonly b = `wrb${process.pid}-b`;

	constructor() {
		for (const host of [this.a, this.b]) ip("netns", "add", host);
		ip("link", "add", "va", "netns", this.a, "type", "veth", "peer", "name", "vb", "netns", this.b);
		for (const [host, end, address] of [
			[this.a, "va", outer.a],
			[this.b, "vb", outer.b],
		] as const) {
			ip("-n", host, "addr", "add", `${address}/24`, "dev", end);
			ip("-n", host, "link", "set", "lo", "up");
			ip("-n", host, "link", "set", end, "up");
		}
	}

	close(): void {
		for (const host of [this.a, this.b]) spawnSync("ip", ["netns", "del", host]);
	}
}

export function ip(...args: readonly string[]): void {
	execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"], timeout: 10_000 });
}

/** Runs a command in a host to its end. @throws Error when it fails or takes longer. */
export function runIn(host: string, timeoutMs: number, ...command: readonly string[]): string {
	return execFileSync("ip", ["netns", "exec", host, ...command], { encoding: "utf8", timeout: timeoutMs });
}

export function startIn(
	host: string,
	command: readonly string[],
	options: { readonly pipe?: boolean } = {},
): ChildProcess {
	return spawn("ip", ["netns", "exec", host, ...command], {
		stdio: options.pipe === true ? ["pipe", "pipe", "inherit"] : "ignore",
		env: { ...process.env, WG_PROCESS_FOREGROUND: "1", WG_SUDO: "1" },
	});
}

export async function stop(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const gone = new Promise<void>((resolve) => {
		child.once("exit", () => resolve());
	});
	child.kill("SIGTERM");
	await gone;
}
