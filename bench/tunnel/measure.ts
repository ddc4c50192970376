import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as after } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { housekeepingMs } from "./housekeeping.ts";
import type { Path } from "./paths.ts";

const loadFile = fileURLToPath(new URL("load.ts", import.meta.url));

export interface Result {
	readonly perSecond: number;
	readonly bytesPerSecond: number;
	/** Milliseconds. */
	readonly p50: number;
	readonly p99: number;
	readonly errors: number;
	/** Seconds. */
	readonly cpuPerThousand: number;
	/** Of a core, that the kernel took for itself while this was counted. Milliseconds. */
	readonly housekeepingMs: number;
}

export interface Load {
	readonly concurrency: number;
	readonly seconds: number;
	readonly target: string;
	/** What one more client asks for without reading it. */
	readonly stalled?: string;
	/** How long before the others; 0 = they begin while it fills the path's buffers. */
	readonly settleMs?: number;
	/** Requests a second, whatever the answers do; absent = as many as possible. */
	readonly rate?: number;
}

/** @throws Error when a request failed: a figure over failures says nothing. */
export async function measure(path: Path, load: Load): Promise<Result> {
	const before = total(path, cpuSeconds);
	const args = [String(path.port), path.host, String(load.concurrency), String(load.seconds), load.target];
	const child = spawn(process.execPath, [loadFile, ...args], {
		stdio: ["ignore", "pipe", "inherit"],
		env: {
			PATH: process.env["PATH"] ?? "",
			...(path.credential === null ? {} : { BENCH_CREDENTIAL: path.credential }),
			...(load.stalled === undefined ? {} : { BENCH_STALLED: load.stalled }),
			...(load.rate === undefined ? {} : { BENCH_RATE: String(load.rate) }),
			BENCH_SETTLE_MS: String(load.settleMs ?? 0),
		},
	});
	const ended = once(child, "exit");
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const line = async <T>(): Promise<T> => {
		const { value, done } = await lines.next();
		if (done === true) throw new Error(`${path.name}: the load ended with ${(await ended)[0]}`);
		return JSON.parse(value) as T;
	};
	await after((await line<{ warmMs: number }>()).warmMs);
	const kept = housekeepingMs();
	const result = await line<Omit<Result, "cpuPerThousand" | "housekeepingMs">>();
	const housekeeping = housekeepingMs() - kept;
	await ended;
	if (result.errors > 0) throw new Error(`${path.name}: ${result.errors} requests failed`);
	const used = total(path, cpuSeconds) - before;
	const cpuPerThousand = used / ((result.perSecond * load.seconds) / 1000);
	return { ...result, cpuPerThousand, housekeepingMs: housekeeping };
}

const total = (path: Path, of: (pid: number) => number) => path.pids.map(of).reduce((sum, each) => sum + each, 0);

/** Seconds of CPU that a process has used; 0 where the system has no /proc. */
function cpuSeconds(pid: number): number {
	if (!existsSync(`/proc/${pid}/stat`)) return 0;
	const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory of a path's server and agent, KiB. */
export function memoryKiB(path: Path): number[] {
	return path.pids.map((pid) => {
		const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, "utf8") : "";
		return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
	});
}
