import { duplexPair } from "node:stream";
import { VirtualClock } from "@warren/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { FrameReader, FrameType, ResetCode } from "../../protocol/frames.ts";
import { linkLost, type StreamUser, TunnelLink } from "../../tunnel/link.ts";
import type { Agent, Lease } from "./agent.ts";
import { agentLimits } from "./agent-limits.ts";
import { AgentPool } from "./agent-pool.ts";

let clock: VirtualClock;
let pool: AgentPool;
beforeEach(() => {
	clock = new VirtualClock();
	pool = new AgentPool(
		() => clock.monotonic(),
		() => {},
	);
});

/** Looks as often as the front does. */
async function pass(ms: number): Promise<void> {
	for (let passed = 0; passed < ms; passed += 500) {
		await clock.advance(500);
		// What was written arrives at the other end of the pair.
		for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
		pool.sweep(clock.monotonic());
	}
}

/** An agent at the far end of a pair: `answers` is one that lives; another takes bytes and never says anything. */
function park(id: string, answers: boolean): { agent: Agent; link: TunnelLink; frames: number[] } {
	const [near, far] = duplexPair();
	const attached = pool.attach("web", near, { id, name: "", address: "", transport: "parked", tokenId: "t", at: 0 });
	if (attached === null) throw new Error("no room");
	const frames: number[] = [];
	if (answers) {
		const owner = { onOpen: () => {}, onIdle: () => {}, onControl: () => {}, onClosed: () => {} };
		void new TunnelLink(far, owner, () => clock.monotonic());
	} else {
		const reader = new FrameReader();
		const sink = { reading: true, onData: () => {}, onControl: (type: number) => void frames.push(type) };
		far.on("data", (chunk: Buffer) => void reader.feed(chunk, sink));
	}
	attached.agent.add(attached.link);
	return { ...attached, frames };
}

/** A request: what became of it. */
class Asked implements StreamUser {
	broken: number | null = null;
	onData(): void {}
	onEnd(): void {}
	onDrain(): void {}
	onBroken(code: number): void {
		this.broken = code;
	}
}

describe("agents whose connection died without a word", () => {
	it("L3: a silent link that works is pinged, cut in time, and its request learns that it is lost", async () => {
		const { link, frames } = park("half-open", false);
		const lease = pool.of("web").take(true) as Lease;
		const asked = new Asked();
		lease.link.open({ kind: "http" }, asked);
		await pass(agentLimits.pongMs + 500);
		expect(frames).toEqual([FrameType.open, FrameType.ping]);
		expect(asked.broken).toBe(null);
		await pass(agentLimits.pongMs + 500);
		expect(asked.broken).toBe(linkLost);
		expect(link.isOpen).toBe(false);
		expect(pool.of("web").live).toBe(false);
	});

	it("L3: an idle link is found too, and whoever waits meanwhile gets one that lives", async () => {
		const dead = park("half-open", false);
		await pass(agentLimits.pingMs + agentLimits.pongMs + 1000);
		expect(dead.link.isOpen).toBe(false);
		const { agent } = park("alive", true);
		expect(pool.of("web").take(true)?.agent).toBe(agent);
	});

	it("L3: one that answers stays, however long it is silent otherwise", async () => {
		const { link } = park("alive", true);
		await pass(agentLimits.pingMs * 6);
		expect(link.isOpen).toBe(true);
		const asked = new Asked();
		link.open({ kind: "http" }, asked);
		await pass(agentLimits.pongMs * 6);
		expect([link.isOpen, asked.broken]).toEqual([true, null]);
		link.reset(ResetCode.cancelled, "over");
	});

	it("L3: one that is only slow is not taken for dead", async () => {
		const { link } = park("half-open", false);
		const asked = new Asked();
		link.open({ kind: "http" }, asked);
		link.pause();
		await pass(agentLimits.pongMs * 6);
		expect([link.isOpen, asked.broken]).toEqual([true, null]);
	});
});
