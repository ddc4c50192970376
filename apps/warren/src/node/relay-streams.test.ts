import { type HostilePeer, hostilePeer, type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** 1 GB with WARREN_LONG_TESTS=1. */
const bodyBytes = process.env["WARREN_LONG_TESTS"] === "1" ? 1024 ** 3 : 256 * 1024 ** 2;
const chunk = Buffer.alloc(64 * 1024, "x");
/** What a relay may take more while a body of any size passes, once it has warmed up: mostly what waits to be collected. */
const allowedGrowthBytes = 96 * 1024 ** 2;

let peer: HostilePeer;
let node: StartedNode;
let path: string;

beforeAll(async () => {
	peer = await hostilePeer((request, response) => {
		if (request.method === "POST") {
			let bytes = 0;
			request.on("data", (data: Buffer) => {
				bytes += data.length;
			});
			request.once("end", () => response.end(JSON.stringify({ bytes })));
			return;
		}
		response.setHeader("content-length", String(bodyBytes));
		let sent = 0;
		const pump = () => {
			while (sent < bodyBytes) {
				sent += chunk.length;
				if (!response.write(chunk)) return void response.once("drain", pump);
			}
			response.end();
		};
		pump();
	});
	node = await startNode();
	const added = await node.fetch("/api/peers", {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify({ host: peer.host, port: peer.port }),
	});
	path = `/r/${((await added.json()) as { id: string }).id}/api/blob`;
	await (await node.fetch(path)).bytes();
});
afterAll(async () => {
	await node?.[Symbol.asyncDispose]();
	await peer?.close();
});

const memory = async () => {
	const status = (await (await node.fetch("/api/status")).json()) as { process: { memoryBytes: number } };
	return status.process.memoryBytes;
};

describe("a large body through the relay", () => {
	it("comes down in flat memory, and whole", async () => {
		const before = await memory();
		let [received, sampledAt, peak] = [0, 0, 0];
		const answer = await node.fetch(path);
		for await (const data of answer.body as unknown as AsyncIterable<Uint8Array>) {
			received += data.length;
			if (received - sampledAt < bodyBytes / 8) continue;
			sampledAt = received;
			peak = Math.max(peak, await memory());
		}
		expect(received).toBe(bodyBytes);
		expect(peak - before).toBeLessThan(allowedGrowthBytes);
	}, 300_000);

	it("goes up in flat memory, and whole", async () => {
		const before = await memory();
		let [sent, sampledAt, peak] = [0, 0, 0];
		const body = new ReadableStream<Uint8Array>({
			async pull(controller) {
				controller.enqueue(chunk);
				sent += chunk.length;
				if (sent - sampledAt >= bodyBytes / 8) {
					sampledAt = sent;
					peak = Math.max(peak, await memory());
				}
				if (sent >= bodyBytes) controller.close();
			},
		});
		const answer = await node.fetch(path, { method: "POST", body, duplex: "half" });
		expect(await answer.json()).toEqual({ bytes: bodyBytes });
		expect(peak - before).toBeLessThan(allowedGrowthBytes);
	}, 300_000);

	it("waits for a client that does not read, and costs the node little meanwhile", async () => {
		const before = await memory();
		const leave = new AbortController();
		const stalled = await Promise.all(Array.from({ length: 4 }, () => node.fetch(path, { signal: leave.signal })));
		expect(stalled.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
		// The node answers others meanwhile.
		for (let asked = 0; asked < 20; asked++) expect(await memory()).toBeLessThan(before + allowedGrowthBytes);
		leave.abort();
		await peer.idle();
	});
});
