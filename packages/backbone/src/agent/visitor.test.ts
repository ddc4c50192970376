import { once } from "node:events";
import { systemClock } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { encodeFrame, FrameType } from "../protocol/frames.ts";
import { visitorLimits } from "../server/visitor-endpoint.ts";
import { Visitor } from "./visitor.ts";

let server: TestBackbone;
beforeEach(async () => {
	server = await TestBackbone.open();
});
afterEach(() => server[Symbol.asyncDispose]());

const visitorOf = (credential: string) =>
	new Visitor(systemClock, { target: { url: new URL(`http://127.0.0.1:${server.port}`), tls: {} }, credential });

async function echoService(): Promise<void> {
	const echo = await server.tcp((socket) => socket.pipe(socket));
	const made = await server.api("POST", "/admin/api/tokens", {
		body: { service_name: "echo", kind: "tcp", settings: { require_identity: true } },
	});
	expect(made.status).toBe(201);
	await server.agent("echo", echo.port, { token: made.json.token });
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
	let all = "";
	for await (const chunk of stream) all += chunk.toString();
	return all;
}

describe("a visitor", () => {
	it("gets a stream that ends cleanly in both directions", async () => {
		await echoService();
		const { credential } = await server.principal("echo");
		const stream = await visitorOf(credential).open("echo");
		stream.end("there and back");
		expect(await text(stream)).toBe("there and back");
	});

	it("hears of a target that breaks off", async () => {
		const rude = await server.tcp((socket) => socket.once("data", () => socket.resetAndDestroy()));
		await server.agent("rude", rude.port, { kind: "tcp" });
		const { credential } = await server.principal("rude");
		const stream = await visitorOf(credential).open("rude");
		const failed = once(stream, "error");
		stream.write("x");
		expect((await failed)[0]).toBeInstanceOf(Error);
	});

	it.each(["null", "7", '"tcp"', "[]", "{}", "{", '{"kind":"tcp","traceparent":1}', '{"kind":"tcp","client":1}'])(
		"F3: an OPEN of %s ends its link, and nothing else",
		async (open) => {
			await echoService();
			const { credential } = await server.principal("echo");
			using rude = await server.client();
			rude.send(
				`GET /forward/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nx-backbone-principal: ${credential}\r\n\r\n`,
			);
			await rude.until(/^HTTP\/1\.1 101[\s\S]*\r\n\r\n/);
			rude.send(encodeFrame(FrameType.open, open));
			await rude.closed();
			const stream = await visitorOf(credential).open("echo");
			stream.end("still there");
			expect(await text(stream)).toBe("still there");
		},
	);

	const linkTo = async (backbone: TestBackbone, service: string) => {
		const { credential } = await backbone.principal(service);
		const client = await backbone.client();
		client.send(
			`GET /forward/${service} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nx-backbone-principal: ${credential}\r\n\r\n`,
		);
		await client.until(/^HTTP\/1\.1 101[\s\S]*\r\n\r\n/);
		return client;
	};

	it("loses its link when it asks for no stream in time, and keeps one that carries a stream", async () => {
		const clock = new VirtualClock(Date.now());
		await using backbone = await TestBackbone.open({}, undefined, { clock });
		const echo = await backbone.tcp((socket) => socket.pipe(socket));
		await backbone.agent("echo", echo.port, { kind: "tcp" });
		using silent = await linkTo(backbone, "echo");
		using busy = await linkTo(backbone, "echo");
		busy.send(encodeFrame(FrameType.open, '{"kind":"tcp"}'));
		busy.send(encodeFrame(FrameType.data, "first"));
		await busy.until(/first/);
		await clock.advance(visitorLimits.idleMs - 1);
		silent.send(encodeFrame(FrameType.ping, "12345678"));
		await silent.until(/12345678/);
		await clock.advance(1);
		await silent.closed();
		await clock.advance(3 * visitorLimits.idleMs);
		busy.send(encodeFrame(FrameType.data, "second"));
		await busy.until(/second/);
	});

	it("that reads no refusal of the streams it asks for loses its link, and fills no memory", async () => {
		await server.token("nobody", "tcp");
		using rude = await linkTo(server, "nobody");
		const { socket } = rude;
		socket.pause();
		// Its end comes as a fault, too.
		const gone = new Promise((resolve) => socket.once("close", resolve));
		const one = [encodeFrame(FrameType.open, '{"kind":"tcp"}'), encodeFrame(FrameType.reset, Buffer.alloc(2))];
		const many = Buffer.concat(Array.from({ length: 4096 }, () => one).flat());
		const most = 64 * 1024 * 1024;
		let sent = 0;
		while (!socket.destroyed && sent < most) {
			sent += many.length;
			if (!socket.write(many)) await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), gone]);
		}
		expect(sent).toBeLessThan(most);
	});

	it("is refused without a grant, and after it was taken away", async () => {
		await echoService();
		const stranger = await server.principal();
		await expect(visitorOf(stranger.credential).open("echo")).rejects.toMatchObject({ code: "no_stream" });
		const { id, credential } = await server.principal("echo");
		(await visitorOf(credential).open("echo")).destroy();
		expect((await server.api("DELETE", `/admin/api/grants/${id}/echo`)).status).toBe(200);
		await expect(visitorOf(credential).open("echo")).rejects.toMatchObject({
			code: "no_stream",
			details: { backboneStatus: 403 },
		});
	});

	it("is held to its own rate and to the service's", async () => {
		const clock = new VirtualClock();
		await using limited = await TestBackbone.open({}, undefined, { clock });
		const greeter = await limited.tcp((socket) => socket.write("hello"));
		await limited.agent("hi", greeter.port, { kind: "tcp" });
		const { id, credential } = await limited.principal("hi");
		const url = new URL(`http://127.0.0.1:${limited.port}`);
		const visitor = new Visitor(systemClock, { target: { url, tls: {} }, credential });
		const greeted = async () => {
			const stream = await visitor.open("hi");
			const [first] = await Promise.race([once(stream, "data"), once(stream, "error")]).catch((fault) => [fault]);
			stream.on("error", () => {});
			stream.destroy();
			return first instanceof Error ? "refused" : String(first);
		};
		const limits = { requests_per_second: 1 };
		await limited.api("PATCH", `/admin/api/principals/${id}`, { body: { limits } });
		expect([await greeted(), await greeted()]).toEqual(["hello", "refused"]);
		await limited.api("PATCH", `/admin/api/principals/${id}`, { body: { limits: {} } });
		await limited.api("PATCH", "/admin/api/services/hi", { body: { settings: limits } });
		expect([await greeted(), await greeted()]).toEqual(["hello", "refused"]);
		await clock.advance(1000);
		expect(await greeted()).toBe("hello");
	});

	it("is held to the limits that its service has by then, on a link that stood before, and to nothing once that is gone", async () => {
		const clock = new VirtualClock();
		await using limited = await TestBackbone.open({}, undefined, { clock });
		const greeter = await limited.tcp((socket) => socket.end("hello"));
		await limited.agent("hi", greeter.port, { kind: "tcp" });
		const { credential } = await limited.principal("hi");
		using link = await limited.client();
		link.send(
			`GET /forward/hi HTTP/1.1\r\nHost: mos.test\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nx-backbone-principal: ${credential}\r\n\r\n`,
		);
		await link.until(/\r\n\r\n/);
		const open = Buffer.concat([
			encodeFrame(FrameType.open, JSON.stringify({ kind: "tcp" })),
			encodeFrame(FrameType.end),
		]);
		const ended = "hello[^]{4}";
		link.send(open);
		await link.until(new RegExp(ended));
		const limits = { requests_per_second: 1 };
		await limited.api("PATCH", "/admin/api/services/hi", { body: { settings: limits } });
		link.send(open);
		await link.until(new RegExp(`(${ended}[^]*){2}`));
		link.send(open);
		await link.until(/too many streams/);
		await clock.advance(1000);
		await limited.api("DELETE", "/admin/api/services/hi");
		await link.closed();
	});

	it("can be made by an administrator, at any rate", async () => {
		for (let count = 0; count < 12; count++) {
			const made = await server.api("POST", "/admin/api/principals", {
				body: { name: `machine ${count}`, email: `m${count}@machines.test` },
			});
			expect(made).toMatchObject({ status: 201, json: { principal: { state: "active" } } });
			expect(made.json.credential).toMatch(/^mosb_pr_/);
		}
		expect((await server.api("POST", "/admin/api/principals", { body: { name: "x", email: "no" } })).status).toBe(400);
		const nobody = { admin: false, body: { name: "x", email: "x@y.test" } };
		expect((await server.api("POST", "/admin/api/principals", nobody)).status).toBe(401);
	});

	it("finds a service that requires identity without a port of its own", async () => {
		await echoService();
		const { services } = (await server.api("GET", "/admin/api/services")).json;
		expect(services).toMatchObject([{ service: "echo", port: null, settings: { require_identity: true } }]);
	});
});
