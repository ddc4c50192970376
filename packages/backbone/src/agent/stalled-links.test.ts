import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { Visitor } from "./visitor.ts";

/** More than all buffers on the way take. */
const bytes = 48 * 1024 * 1024;
const body = Buffer.alloc(bytes);

/** A minute goes by at both ends; what they write arrives meanwhile. */
async function pass(clock: VirtualClock): Promise<void> {
	for (let step = 0; step < 120; step++) {
		await clock.advance(500);
		for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
	}
}

describe.each(["shared", "parked", "websocket", "http2"] as const)(
	"L3: over %s, nobody is cut because",
	(transport) => {
		it("a target takes nothing of an upload for a minute", async () => {
			const clock = new VirtualClock(Date.now());
			await using server = await TestBackbone.open({}, undefined, { clock });
			let taken = 0;
			const socketOf = Promise.withResolvers<Socket>();
			const target = await server.tcp((socket) => {
				socket.pause();
				socketOf.resolve(socket);
				socket.on("data", (chunk: Buffer) => {
					taken += chunk.length;
					if (taken >= bytes) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntook");
				});
				socket.pause();
			});
			await server.agent("web", target.port, { transport, clock });
			const upload = request({
				...{ port: server.port, host: "127.0.0.1", method: "POST" },
				headers: { host: "web.mos.test", "content-length": bytes },
			});
			upload.end(body);
			const answered = once(upload, "response").catch((fault: Error) => [{ statusCode: fault.message }]);
			const socket = await socketOf.promise;
			await pass(clock);
			socket.resume();
			const [{ statusCode }] = await answered;
			expect(statusCode).toBe(200);
		});

		it("an answer alone moves anything for a minute, a little at a time", async () => {
			const clock = new VirtualClock(Date.now());
			await using server = await TestBackbone.open({}, undefined, { clock });
			const target = await server.http((_request, response) => {
				response.write("event");
				let left = 30;
				const next = () =>
					clock.after(2_000, () => (left-- > 0 ? (response.write("event"), next()) : response.end("over")));
				next();
			});
			await server.agent("web", target.port, { transport, clock });
			const asked = request({ port: server.port, host: "127.0.0.1", headers: { host: "web.mos.test" } });
			asked.end();
			const [answer] = await once(asked, "response");
			let text = "";
			answer.setEncoding("utf8").on("data", (piece: string) => (text += piece));
			const settled = new Promise<string>((resolve) => {
				answer.once("end", () => resolve("ended"));
				answer.once("error", (failure: Error) => resolve(failure.message));
			});
			await pass(clock);
			await pass(clock);
			expect(await settled).toBe("ended");
			expect(text).toBe(`${"event".repeat(31)}over`);
		});

		it("a client takes nothing of an answer for a minute", async () => {
			const clock = new VirtualClock(Date.now());
			await using server = await TestBackbone.open({}, undefined, { clock });
			const target = await server.http((_request, response) => response.end(body));
			await server.agent("web", target.port, { transport, clock });
			const asked = request({ port: server.port, host: "127.0.0.1", headers: { host: "web.mos.test" } });
			asked.end();
			const [answer] = await once(asked, "response");
			await pass(clock);
			let taken = 0;
			const fault = await new Promise<string>((resolve) => {
				answer.on("data", (chunk: Buffer) => (taken += chunk.length));
				answer.once("end", () => resolve(""));
				answer.once("error", (failure: Error) => resolve(failure.message));
			});
			expect([fault, taken]).toEqual(["", bytes]);
		});
	},
);

it("L3: a visitor is not cut because the target takes nothing of it for a minute", async () => {
	const clock = new VirtualClock(Date.now());
	await using server = await TestBackbone.open({}, undefined, { clock });
	const socketOf = Promise.withResolvers<Socket>();
	const target = await server.tcp((socket) => {
		socket.pause();
		socketOf.resolve(socket);
	});
	await server.agent("db", target.port, { kind: "tcp", clock });
	const { credential } = await server.principal("db");
	const url = new URL(`http://127.0.0.1:${server.port}`);
	const stream = await new Visitor(clock, { target: { url, tls: {} }, credential }).open("db");
	let fault: Error | null = null;
	stream.on("error", (failure) => (fault = failure));
	stream.end(body);
	const socket = await socketOf.promise;
	await pass(clock);
	expect(fault).toBe(null);
	let taken = 0;
	socket.on("data", (chunk: Buffer) => (taken += chunk.length));
	socket.resume();
	await once(socket, "end");
	expect(taken).toBe(bytes);
	stream.destroy();
});
