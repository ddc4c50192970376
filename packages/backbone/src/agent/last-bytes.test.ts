import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { silentLogger, systemClock } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { Forwarder } from "./forwarder.ts";
import { Visitor } from "./visitor.ts";

/** More than all buffers on the way take. */
const bytes = 48 * 1024 * 1024;
const body = Buffer.alloc(bytes);

/** What comes until it ends, cleanly or not. */
function taken(stream: NodeJS.ReadableStream): Promise<[number, string]> {
	let count = 0;
	stream.on("data", (chunk: Buffer) => (count += chunk.length));
	return new Promise((resolve) => {
		stream.once("end", () => resolve([count, "end"]));
		stream.once("error", (fault: Error) => resolve([count, fault.message]));
	});
}

/** A target that ends its own direction at once, and takes what comes when it is let. */
async function halfClosing(server: TestBackbone) {
	const accepted = Promise.withResolvers<Socket>();
	const target = await server.tcp((socket) => {
		socket.pause();
		socket.end();
		accepted.resolve(socket);
	});
	await server.agent("db", target.port, { kind: "tcp" });
	const { credential } = await server.principal("db");
	const url = new URL(`http://127.0.0.1:${server.port}`);
	return { accepted: accepted.promise, visit: { target: { url, tls: {} }, credential } };
}

describe("what was sent last arrives", () => {
	it("L2: of an upload by warren forward to a target that has ended its own direction", async () => {
		await using server = await TestBackbone.open();
		const { accepted, visit } = await halfClosing(server);
		const opened = await Forwarder.open(
			{ clock: systemClock, logger: silentLogger },
			{ ...visit, service: "db", host: "127.0.0.1", port: 0 },
		);
		if (!opened.ok) throw new Error(opened.message);
		const { forwarder } = opened;
		const client = connect({ port: forwarder.port, host: "127.0.0.1", allowHalfOpen: true });
		client.resume();
		const socket = await accepted;
		await once(client, "end");
		const sent = new Promise<void>((resolve) => client.end(body, () => resolve()));
		const arrived = taken(socket);
		socket.resume();
		expect(await arrived).toEqual([bytes, "end"]);
		await sent;
		await forwarder.close();
	});

	it("L2: …and of a visitor's", async () => {
		await using server = await TestBackbone.open();
		const { accepted, visit } = await halfClosing(server);
		const stream = await new Visitor(systemClock, visit).open("db");
		stream.resume();
		const socket = await accepted;
		await once(stream, "end");
		stream.end(body);
		const arrived = taken(socket);
		socket.resume();
		expect(await arrived).toEqual([bytes, "end"]);
	});

	it.each(["shared", "parked", "websocket", "http2"] as const)(
		"L4: of an answer to a client that has ended its direction, while the agent leaves (%s)",
		async (transport) => {
			await using server = await TestBackbone.open();
			const target = await server.tcp((socket) => {
				socket.write("hello");
				socket.resume().once("end", () => socket.end(body));
			});
			const agent = await server.agent("db", target.port, { kind: "tcp", transport });
			const { services } = (await server.api("GET", "/admin/api/services")).json;
			const client = connect({ port: services[0].port, host: "127.0.0.1", allowHalfOpen: true });
			const [first] = (await once(client, "data")) as [Buffer];
			client.pause();
			const stopping = agent.close(60_000);
			client.end();
			const arrived = taken(client);
			client.resume();
			const [count, how] = await arrived;
			expect([first.length + count, how]).toEqual([bytes + 5, "end"]);
			await stopping;
		},
	);
});
