import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { Agent, createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { tempFolder } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const adminToken = "an-administrator-of-tests";
const megabyte = 1_000_000;
/** One piece, sent again and again: the test itself must hold nothing. */
const piece = Buffer.alloc(100_000, "0123456789");
/**
 * What a process may grow by while a body passes, however large: the windows of a connection, and read buffers until the
 * runtime collects them, which on a busy machine is late. Half of the body at most, so that whoever gathered it is seen.
 */
const mayGrowKiB = 200 * 1024;

let folder: ReturnType<typeof tempFolder>;
let started: ChildProcess[];
let service: Server;
/** Bytes that the service was sent. */
let taken: number;
beforeEach(async () => {
	folder = tempFolder("large-bodies");
	started = [];
	taken = 0;
	service = createServer((incoming, outgoing) => {
		const asked = Number(incoming.headers["x-bytes"] ?? 0);
		incoming.on("data", (chunk: Buffer) => (taken += chunk.length));
		incoming.on("end", () => {
			outgoing.writeHead(200, { "content-length": asked });
			let sent = 0;
			const more = () => {
				while (sent < asked) {
					sent += piece.length;
					if (!outgoing.write(piece)) return void outgoing.once("drain", more);
				}
				outgoing.end();
			};
			more();
		});
	});
	await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
	for (const each of started) {
		const gone = once(each, "exit");
		if (each.kill("SIGKILL")) await gone;
	}
	service.closeAllConnections();
	service.close();
	folder[Symbol.dispose]();
});

/** The most memory that a process ever had resident. */
const peakKiB = (pid: number): number =>
	Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

interface Tunnel {
	readonly port: number;
	readonly pids: readonly number[];
}

/** Starts a command and gives its one JSON line. */
async function start(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
	const child = spawn(process.execPath, [main, ...args, "--json"], {
		stdio: ["ignore", "pipe", "inherit"],
		env: { PATH: process.env["PATH"] ?? "", HOME: folder.path, WARREN_LOG_LEVEL: "error", ...env },
	});
	started.push(child);
	const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
	return JSON.parse(line) as Record<string, unknown>;
}

async function tunnel(transport: string): Promise<Tunnel> {
	const flags = ["--http", "--port", "0", "--data", folder.file("data"), "--stream-ports", "0-0"];
	const server = await start(["backbone", ...flags], { BACKBONE_ADMIN_TOKEN: adminToken });
	const port = server["port"] as number;
	const made = await fetch(`http://127.0.0.1:${port}/admin/api/tokens`, {
		method: "POST",
		headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
		body: JSON.stringify({ service_name: "web" }),
	});
	const { token } = (await made.json()) as { token: string };
	const target = `127.0.0.1:${(service.address() as AddressInfo).port}`;
	const to = ["--backbone", `http://127.0.0.1:${port}`, "--service", "web", "--target", target];
	const agent = await start(["agent", ...to, "--transport", transport], { BACKBONE_SERVICE_TOKEN: token });
	return { port, pids: [server["pid"] as number, agent["pid"] as number] };
}

/** Sends `up` bytes and asks for `down`. @returns how many came. */
function pass({ port }: Tunnel, up: number, down: number): Promise<number> {
	return new Promise((resolve, reject) => {
		const asked = request(
			{
				...{ port, host: "127.0.0.1", method: "POST", agent: new Agent() },
				headers: { host: "web.localhost", "content-length": up, "x-bytes": down },
			},
			(answer) => {
				let came = 0;
				answer.on("data", (chunk: Buffer) => (came += chunk.length));
				answer.on("end", () => resolve(came));
				answer.on("error", reject);
			},
		);
		asked.on("error", reject);
		let sent = 0;
		const more = () => {
			while (sent < up) {
				sent += piece.length;
				if (!asked.write(piece)) return void asked.once("drain", more);
			}
			asked.end();
		};
		more();
	});
}

describe("bodies of any size", () => {
	const isLong = process.env["WARREN_LONG_TESTS"] === "1";
	it("pass both ways in flat memory", { timeout: 300_000 }, async (context) => {
		context.skip(!existsSync("/proc/self/status"), "the system does not say how much memory a process had");
		await flat("shared", 400 * megabyte);
	});

	it.for(["shared", "parked", "http2"])(
		"of 1 GB pass both ways over %s in flat memory",
		{
			timeout: 600_000,
		},
		async (transport, context) => {
			context.skip(!isLong, "it takes minutes: WARREN_LONG_TESTS=1 runs it");
			await flat(transport, 1000 * megabyte);
		},
	);

	async function flat(transport: string, bytes: number): Promise<void> {
		const way = await tunnel(transport);
		// What a process makes once it makes for the first ones.
		for (let each = 0; each < 3; each++) expect(await pass(way, 10 * megabyte, 10 * megabyte)).toBe(10 * megabyte);
		const before = way.pids.map(peakKiB);
		taken = 0;
		expect(await pass(way, bytes, 0)).toBe(0);
		expect(taken).toBe(bytes);
		expect(await pass(way, 0, bytes)).toBe(bytes);
		const grown = way.pids.map((pid, at) => peakKiB(pid) - (before[at] as number));
		expect(Math.max(...grown)).toBeLessThan(mayGrowKiB);
	}
});
