import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { systemClock } from "@warren/kernel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Dialler } from "../agent/dial.ts";
import { TestBackbone } from "../backbone.testing.ts";
import { firstWindowBytes, laneLimits } from "../protocol/lanes.ts";
import type { Lane } from "../tunnel/lane.ts";
import { type StreamUser, TunnelLink } from "../tunnel/link.ts";
import { SharedConnection } from "../tunnel/shared-connection.ts";
import { WindowBudget } from "../tunnel/window-budget.ts";

let backbone: TestBackbone;
beforeEach(async () => {
	backbone = await TestBackbone.open();
});
afterEach(() => backbone[Symbol.asyncDispose]());

const bytes = 5_000_000;

/** An agent of a test's own: what it is told of the lane that the next request comes on, and that lane's link. */
async function agent() {
	const dialler = new Dialler({ url: new URL(`http://127.0.0.1:${backbone.port}`), tls: {}, transport: "shared" });
	const dialled = await dialler.dial({
		authorization: `Bearer ${await backbone.token("web")}`,
		agent: "announced-bodies",
	});
	if (!dialled.ok) throw new Error(dialled.message);
	const heard = { announced: 0, credit: firstWindowBytes };
	let arrived = (_link: TunnelLink) => {};
	const request = new Promise<TunnelLink>((resolve) => (arrived = resolve));
	let changed = () => {};
	const stream: StreamUser = { onData: () => changed(), onEnd() {}, onBroken() {}, onDrain() {} };
	const onOpen = (link: TunnelLink) => {
		link.user = stream;
		arrived(link);
	};
	const onLane = (lane: Lane) => {
		const { onBlocked, onCredit } = lane;
		lane.onBlocked = (value) => {
			heard.announced += value;
			onBlocked.call(lane, value);
			changed();
		};
		lane.onCredit = (value) => {
			heard.credit += value;
			onCredit.call(lane, value);
			changed();
		};
		new TunnelLink(lane, { onOpen, onIdle() {}, onControl() {}, onClosed() {} }, () => systemClock.monotonic());
	};
	const shared = new SharedConnection(
		dialled.channel,
		{ onLane, onClosed() {} },
		() => systemClock.monotonic(),
		WindowBudget.ofProcess(),
	);
	dialled.channel.resume();
	/** Looks again whenever something came. */
	const until = async (holds: () => boolean) => {
		while (!holds()) await new Promise<void>((resolve) => (changed = resolve));
	};
	return { heard, request, until, [Symbol.dispose]: () => shared.close("over") };
}

/** A request with a body of so many bytes begins, and waits for its answer. */
const clients = {
	"HTTP/1.1": async () => {
		const client = await backbone.client();
		client.send(`POST / HTTP/1.1\r\nHost: web.mos.test\r\nContent-Length: ${bytes}\r\n\r\nthe first of them`);
		return client;
	},
	"HTTP/2": async () => {
		const session = connectHttp2(`http://127.0.0.1:${backbone.port}`);
		session.on("error", () => {});
		await once(session, "connect");
		const stream = session.request({
			...{ ":method": "POST", ":path": "/", ":authority": "web.mos.test", "content-length": bytes },
		});
		stream.on("error", () => {});
		stream.write("the first of them");
		return { [Symbol.dispose]: () => session.destroy() };
	},
};

describe.each(Object.entries(clients))("M4: over %s", (_name, ask) => {
	it("an agent is told how much of a request is to come, and let through what its answer says", async () => {
		using far = await agent();
		const { heard, request, until } = far;
		using _client = await ask();
		const link = await request;
		await until(() => heard.announced > 0);
		expect(heard.announced).toBe(bytes);
		// Its head alone: it is not held back, and has not said so.
		link.write(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"));
		await until(() => heard.credit >= laneLimits.windowBytes[1]);
		expect(heard.credit).toBeLessThan(laneLimits.windowBytes[1] + firstWindowBytes);
	});
});
