import { type ChildProcess, execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { inner, ip, outer, runIn, startIn, stop, type TwoHosts } from "./hosts.ts";

/** A tunnel between the two hosts, up and ready. */
export interface Tunnel {
	/** Its processes, one a host. */
	readonly processes: readonly ChildProcess[];
	close(): Promise<void>;
}

export interface Way {
	readonly name: string;
	open(hosts: TwoHosts): Promise<Tunnel>;
}

export function warren(dataPlane: "offload" | "portable"): Way {
	return {
		name: `warren ${dataPlane}`,
		async open(hosts) {
			const ends = await Promise.all(
				(["a", "b"] as const).map(async (side) => {
					const child = startIn(hosts[side], [process.execPath, join(import.meta.dirname, "tunnel-process.ts")], {
						pipe: true,
					});
					const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })[
						Symbol.asyncIterator
					]();
					const say = (line: unknown) => child.stdin?.write(`${JSON.stringify(line)}\n`);
					say({ interfaceName: "wg0", privateKey: randomBytes(32).toString("hex"), addresses: inner[side], dataPlane });
					const { value } = await lines.next();
					if (typeof value !== "string") throw new Error(`Warren's ${side} end did not start`);
					return { child, lines, say, publicKey: value };
				}),
			);
			for (const [at, end] of ends.entries()) {
				const other = at === 0 ? "b" : "a";
				end.say({
					publicKey: ends[1 - at]?.publicKey,
					endpoint: { address: outer[other], port: 51820 },
					allowedIps: inner[other].map((each) => each.replace("/24", "/32").replace("/64", "/128")),
				});
				await end.lines.next();
			}
			return {
				processes: ends.map(({ child }) => child),
				close: async () => {
					await Promise.all(
						ends.map(({ child }) => {
							const gone = new Promise((resolve) => {
								child.once("exit", resolve);
							});
							child.stdin?.end();
							return gone;
						}),
					);
				},
			};
		},
	};
}

/** A userspace WireGuard that is configured by wg. */
export function userspace(name: string, program: string): Way {
	return {
		name,
		async open(hosts) {
			const folder = mkdtempSync(join(tmpdir(), "warren-bench-overlay-"));
			const key = () => {
				const secret = execFileSync("wg", ["genkey"], { encoding: "utf8" }).trim();
				return { secret, shown: execFileSync("wg", ["pubkey"], { encoding: "utf8", input: secret }).trim() };
			};
			const keys = { a: key(), b: key() };
			const processes: ChildProcess[] = [];
			for (const side of ["a", "b"] as const) {
				const other = side === "a" ? "b" : "a";
				const interfaceName = `wb${process.pid % 100_000}${side}`;
				const args = name === "boringtun" ? ["-f", "--disable-drop-privileges", interfaceName] : ["-f", interfaceName];
				processes.push(startIn(hosts[side], [program, ...args]));
				await socketOf(interfaceName);
				const file = join(folder, side);
				writeFileSync(
					file,
					`[Interface]\nPrivateKey = ${keys[side].secret}\nListenPort = 51820\n[Peer]\nPublicKey = ${keys[other].shown}\n` +
						`AllowedIPs = ${inner[other].join(", ")}\nEndpoint = ${outer[other]}:51820\n`,
					{ mode: 0o600 },
				);
				runIn(hosts[side], 5000, "wg", "setconf", interfaceName, file);
				for (const address of inner[side]) ip("-n", hosts[side], "addr", "add", address, "dev", interfaceName);
				ip("-n", hosts[side], "link", "set", interfaceName, "mtu", "1420", "up");
			}
			return {
				processes,
				close: async () => {
					for (const child of processes) await stop(child);
					rmSync(folder, { recursive: true, force: true });
				},
			};
		},
	};
}

/** It tells nobody that it is up: its socket is looked for, for a bounded time. */
async function socketOf(interfaceName: string): Promise<void> {
	const deadline = Date.now() + 10_000;
	while (!existsSync(`/var/run/wireguard/${interfaceName}.sock`)) {
		if (Date.now() > deadline) throw new Error(`${interfaceName} did not come up within 10 s`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

/** A program by its name or by the path in a variable; null = not here. */
export function find(name: string, variable: string): string | null {
	const named = process.env[variable];
	if (named !== undefined) return existsSync(named) ? named : null;
	const found = spawnSync("which", [name], { encoding: "utf8" });
	return found.status === 0 ? found.stdout.trim() : null;
}

/** Seconds of processor that a tunnel's processes have used. */
export function processorSeconds(tunnel: Tunnel): number {
	let ticks = 0;
	for (const { pid } of tunnel.processes) {
		const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
			.replace(/^.*\) /, "")
			.split(" ");
		ticks += Number(fields[11]) + Number(fields[12]);
	}
	return ticks / 100;
}

/** Resident memory of the larger of a tunnel's processes, MiB. */
export function memoryMiB(tunnel: Tunnel): number {
	return Math.max(
		...tunnel.processes.map(
			({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024,
		),
	);
}
