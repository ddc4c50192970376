import { existsSync } from "node:fs";
import { Agent, createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TunnelProcesses } from "./tunnel-processes.testing.ts";

const megabyte = 1_000_000;
/** One piece, sent again and again: the test itself must hold nothing. */
const piece = Buffer.alloc(100_000, "0123456789");
/**
 * What a process may grow by while a body passes, however large: a window (128 MiB), read buffers until the runtime has
 * collected them, for which on a machine whose processors others want it waits, and what lies between them. A third of
 * the body, so that whoever gathered it is seen.
 */
const mayGrowKiB = 640 * 1024;
const largeBytes = 2000 * megabyte;

let service: Server;
/** Bytes that the service was sent. */
let taken: number;
beforeEach(async () => {
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
	service.closeAllConnections();
	service.close();
});

/** Sends `up` bytes and asks for `down`. @returns how many came. */
function pass({ port }: TunnelProcesses, up: number, down: number): Promise<number> {
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
		await flat("shared", largeBytes);
	});

	it.for(["parked", "http2"])(
		"pass both ways over %s in flat memory",
		{
			timeout: 600_000,
		},
		async (transport, context) => {
			context.skip(!isLong, "it takes minutes: WARREN_LONG_TESTS=1 runs it");
			await flat(transport, largeBytes);
		},
	);

	async function flat(transport: string, bytes: number): Promise<void> {
		await using way = await TunnelProcesses.open(transport, (service.address() as AddressInfo).port);
		// What a process makes once it makes for the first ones.
		for (let each = 0; each < 3; each++) expect(await pass(way, 10 * megabyte, 10 * megabyte)).toBe(10 * megabyte);
		const before = way.peaksKiB;
		taken = 0;
		expect(await pass(way, bytes, 0)).toBe(0);
		expect(taken).toBe(bytes);
		expect(await pass(way, 0, bytes)).toBe(bytes);
		const grown = way.peaksKiB.map((peak, at) => peak - (before[at] as number));
		expect(Math.max(...grown), `server and agent grew by ${grown.join(" and ")} KiB`).toBeLessThan(mayGrowKiB);
	}
});
