import { duplexPair } from "node:stream";
import { expect, it } from "vitest";
import { encodeFrame, FrameType, type OpenRequest } from "../protocol/frames.ts";
import { laneLimits } from "../protocol/lanes.ts";
import type { Lane } from "./lane.ts";
import { type LinkOwner, maxWaitingPongs, type StreamUser, TunnelLink } from "./link.ts";
import { SharedConnection } from "./shared-connection.ts";
import { WindowBudget } from "./window-budget.ts";

const ping = encodeFrame(FrameType.ping, Buffer.alloc(8));
const owner = { onOpen: () => {}, onIdle: () => {}, onControl: () => {}, onClosed: () => {} };

async function turns(): Promise<void> {
	for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

it("L3: pings whose pongs nobody reads end the link, and hold no more than so many of them", async () => {
	const [near, far] = duplexPair();
	const link = new TunnelLink(near, owner, () => 0);
	let most = 0;
	for (let sent = 0; sent < 40 && link.isOpen; sent++) {
		far.write(Buffer.concat(Array.from({ length: 1024 }, () => ping)));
		await turns();
		most = Math.max(most, near.writableLength);
	}
	expect(link.isOpen).toBe(false);
	expect(most).toBeLessThanOrEqual(near.writableHighWaterMark + (maxWaitingPongs + 1) * ping.length);
});

it("L3: whoever reads pongs may ping as often as it likes", async () => {
	const [near, far] = duplexPair();
	const link = new TunnelLink(near, owner, () => 0);
	let read = 0;
	far.on("data", (bytes: Buffer) => (read += bytes.length));
	for (let sent = 0; sent < 40; sent++) {
		far.write(Buffer.concat(Array.from({ length: 1024 }, () => ping)));
		await turns();
	}
	expect([link.isOpen, read]).toEqual([true, 40 * 1024 * ping.length]);
});

/** A link at either end of a lane, or of a connection of its own; what each end's owner does is the test's. */
function linked(
	kind: "lane" | "own",
	near: Partial<LinkOwner>,
	far: Partial<LinkOwner>,
): Promise<[TunnelLink, TunnelLink]> {
	const [left, right] = duplexPair();
	const now = () => 0;
	if (kind === "own")
		return Promise.resolve([
			new TunnelLink(left, { ...owner, ...near }, now),
			new TunnelLink(right, { ...owner, ...far }, now),
		]);
	const windows = () => new WindowBudget(laneLimits.extra.mostBytes);
	const server = new SharedConnection(left, { onClosed: () => {} }, now, windows());
	return new Promise((resolve) => {
		const onLane = (lane: Lane) => {
			const agent = new TunnelLink(lane, { ...owner, ...far }, now);
			if (lane.number === 1) resolve([asking, agent]);
		};
		new SharedConnection(right, { onLane, onClosed: () => {} }, now, windows());
		server.openLane();
		const asking = new TunnelLink(server.openLane() as Lane, { ...owner, ...near }, now);
	});
}

const request: OpenRequest = { kind: "tcp" } as OpenRequest;
const user = (heard: string[]): StreamUser => ({
	onData: (piece) => void heard.push(String(piece)),
	onEnd: () => void heard.push("end"),
	onBroken: (_code, reason) => void heard.push(`broken: ${reason}`),
	onDrain: () => {},
});

it.each(["lane", "own"] as const)(
	"L2: what was said last on a link that is given up is read first (%s)",
	async (kind) => {
		const heard: string[] = [];
		const gone: string[] = [];
		const [asking, agent] = await linked(
			kind,
			{ onIdle: (link) => link.finish("over"), onClosed: () => void gone.push("near") },
			{
				onOpen: (link) => {
					link.user = user(heard);
					link.end();
					// Nothing more is read for now.
					link.pause();
				},
				onClosed: () => void gone.push("far"),
			},
		);
		asking.open(request, user([]));
		await turns();
		asking.write(Buffer.alloc(200_000, "x"));
		asking.end();
		await turns();
		expect(heard).toEqual([]);
		agent.resume();
		await turns();
		expect([heard.slice(0, -1).join("").length, heard.at(-1)]).toEqual([200_000, "end"]);
		expect(gone.sort()).toEqual(["far", "near"]);
	},
);

it("L2: a stream that begins before the other side hears that the link goes is carried to its end", async () => {
	const heard: string[] = [];
	const gone: string[] = [];
	let streams = 0;
	const [asking] = await linked(
		"lane",
		{
			onIdle: (link) => {
				if (++streams > 1) return;
				link.open(request, user([]));
				link.write(Buffer.from("second"));
			},
		},
		{
			onOpen: (link) => {
				link.user = { ...user(heard), onEnd: () => link.end() };
			},
			onIdle: (link) => link.finish("not needed"),
			onClosed: () => void gone.push("agent"),
		},
	);
	asking.open(request, user([]));
	asking.write(Buffer.from("first "));
	asking.end();
	await turns();
	expect([heard.join(""), gone]).toEqual(["first second", []]);
	asking.write(Buffer.from(", whole"));
	asking.end();
	await turns();
	expect([heard.join(""), gone]).toEqual(["first second, whole", ["agent"]]);
});

it("L1: a link whose user ends with the other side is idle once", async () => {
	let idle = 0;
	const [asking] = await linked(
		"own",
		{},
		{
			onOpen: (link) => {
				link.user = { ...user([]), onEnd: () => link.end() };
			},
			onIdle: () => void (idle += 1),
		},
	);
	for (let streams = 1; streams <= 3; streams++) {
		asking.open(request, user([]));
		asking.end();
		await turns();
		expect(idle).toBe(streams);
	}
});
