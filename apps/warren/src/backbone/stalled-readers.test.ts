import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Lifetime } from "@warren/kernel";
import { RawClient } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TunnelProcesses } from "./tunnel-processes.testing.ts";

const mebibyte = 1024 * 1024;
/** Rule M4: what each lane may hold from the start, and what all lanes of a server may grow by together at most. */
const firstWindowKiB = 256;
const budgetKiB = 512 * 1024;
/**
 * Read buffers that the runtime has not collected yet (it lets 128 MiB of them come and go), and as much again for what
 * these many connections make once. Without a budget the same readers made a server grow by 1.2 GB.
 */
const slackKiB = 256 * 1024;
const piece = Buffer.alloc(256 * 1024, "0123456789");

let lifetime: Lifetime;
let service: Server;
/** Bytes that the service could get rid of. */
let written: number;
beforeEach(async () => {
	lifetime = new Lifetime();
	written = 0;
	service = createServer((request, response) => {
		if (request.url === "/small") return void response.end("small");
		const more = (): void => {
			for (;;) {
				written += piece.length;
				if (!response.write(piece)) return void response.once("drain", more);
			}
		};
		more();
	});
	await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
	lifetime.defer(() => {
		service.closeAllConnections();
		service.close();
	});
});
afterEach(() => lifetime.close());

/** Asks for what has no end, takes so many bytes as fast as they come, and then stands. */
async function reader(port: number, takesBytes: number): Promise<void> {
	const socket: Socket = connect(port, "127.0.0.1");
	lifetime.defer(() => void socket.destroy());
	socket.on("error", () => {});
	socket.write("GET /endless HTTP/1.1\r\nHost: web.localhost\r\n\r\n");
	let came = 0;
	await new Promise<void>((resolve) =>
		socket.on("data", (bytes: Buffer) => {
			came += bytes.length;
			if (came < takesBytes) return;
			socket.pause();
			resolve();
		}),
	);
}

const small = (port: number) =>
	RawClient.exchange({ port }, "GET /small HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n\r\n");

/** Resolves when the service has been held back for as long as twenty requests of others take. */
async function atRest(port: number): Promise<void> {
	for (let before = -1; before !== written; ) {
		before = written;
		for (let each = 0; each < 20; each++) expect(await small(port)).toMatch(/small$/);
	}
}

describe("M4: readers who stand", () => {
	it("hold what their windows are, and all of them together no more than the server's budget; others are served", {
		timeout: 600_000,
	}, async (context) => {
		context.skip(!existsSync("/proc/self/status"), "the system does not say how much memory a process had");
		context.skip(
			process.env["WARREN_LONG_TESTS"] !== "1",
			"it fills a gigabyte of the system's socket buffers: WARREN_LONG_TESTS=1 runs it",
		);
		const target = (service.address() as AddressInfo).port;
		await using tunnel = await TunnelProcesses.open("shared", target, 4);
		for (let each = 0; each < 40; each++) await small(tunnel.port);
		const before = tunnel.peaksKiB;
		const [slow, fast] = [120, 16];
		await Promise.all(Array.from({ length: slow }, () => reader(tunnel.port, 1)));
		await atRest(tunnel.port);
		await Promise.all(Array.from({ length: fast }, () => reader(tunnel.port, 16 * mebibyte)));
		await atRest(tunnel.port);
		const [server, ...agents] = tunnel.peaksKiB.map((peak, at) => peak - (before[at] as number));
		expect(server).toBeLessThan((slow + fast) * firstWindowKiB + budgetKiB + slackKiB);
		// An agent stops to read its target once a lane says no.
		expect(agents).toHaveLength(4);
		expect(Math.max(...agents)).toBeLessThan(slackKiB);
	});
});
