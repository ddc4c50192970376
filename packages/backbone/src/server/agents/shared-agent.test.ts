import { duplexPair } from "node:stream";
import { closeCodes } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { FrameType } from "../../protocol/frames.ts";
import { laneLimits } from "../../protocol/lanes.ts";
import type { Lane } from "../../tunnel/lane.ts";
import { type LinkOwner, type StreamUser, TunnelLink } from "../../tunnel/link.ts";
import { SharedConnection } from "../../tunnel/shared-connection.ts";
import { WindowBudget } from "../../tunnel/window-budget.ts";
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

const now = () => clock.monotonic();
const stream: StreamUser = { onData() {}, onEnd() {}, onBroken() {}, onDrain() {} };

/** What was said has arrived. */
async function settled(): Promise<void> {
	for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

/** One shared connection of an agent; its far end takes what comes. */
class Far implements LinkOwner {
	readonly shared: SharedConnection;
	readonly links: TunnelLink[] = [];
	readonly told: number[] = [];
	closed: string | null = null;
	agent: Agent;

	constructor(id: string) {
		const [near, far] = duplexPair();
		const attached = pool.attach("web", near, { id, name: "", address: "", transport: "shared", tokenId: "t", at: 0 });
		if (attached === null) throw new Error("no room");
		this.agent = attached.agent;
		this.shared = new SharedConnection(
			far,
			{
				onLane: (lane: Lane) => void this.links.push(new TunnelLink(lane, this, now)),
				onClosed: (_shared, reason) => {
					this.closed = reason;
				},
			},
			now,
			WindowBudget.ofProcess(),
		);
		attached.agent.add(attached.link);
	}
	onOpen(link: TunnelLink): void {
		link.user = stream;
	}
	onIdle(): void {}
	onClosed(): void {}
	onControl(_link: TunnelLink, type: number): void {
		this.told.push(type);
	}
}

const take = (): Lease => {
	const lease = pool.of("web").take(true);
	if (lease === null) throw new Error("no link");
	lease.link.open({ kind: "http" }, { ...stream });
	return lease;
};

describe("an agent with shared connections", () => {
	it("M6: gets a lane for each request at once, and none of them is the connection's own", async () => {
		const far = new Far("one");
		const leases = Array.from({ length: 100 }, take);
		await settled();
		expect(new Set(leases.map(({ link }) => link)).size).toBe(100);
		expect(leases.map(({ link }) => link.lane?.number)).toEqual(leases.map((_lease, at) => at + 1));
		expect([far.links.length, far.agent.busy, far.told]).toEqual([101, 100, []]);
	});

	it("M6: while a large body passes on one, the next requests go over the other; afterwards over both again", async () => {
		const [one, other] = [new Far("agent"), new Far("agent")];
		expect(one.agent).toBe(other.agent);
		const large = take();
		large.link.write(Buffer.alloc(600 * 1024));
		const besides = Array.from({ length: 5 }, take);
		await settled();
		expect(besides.every(({ link }) => link.lane?.shared !== large.link.lane?.shared)).toBe(true);
		for (const { link } of besides) other.agent.park(link);
		expect(take().link.lane?.shared).toBe(besides[0]?.link.lane?.shared);
		// Half a second later it has moved nothing more.
		pool.sweep(now());
		pool.sweep(now());
		expect(Array.from({ length: 8 }, take).some(({ link }) => link.lane?.shared === large.link.lane?.shared)).toBe(
			true,
		);
	});

	it("M6: where both carry something large, requests are carried all the same", () => {
		new Far("agent");
		new Far("agent");
		for (let each = 0; each < 2; each++) take().link.write(Buffer.alloc(600 * 1024));
		expect(take().link.isOpen).toBe(true);
	});

	it("M6: an agent that leaves gets no further lane there, and its connection ends with the last one", async () => {
		const far = new Far("one");
		const { link } = take();
		await settled();
		for (const each of far.links) each.goAway(closeCodes.draining, "leaving");
		await settled();
		expect(pool.of("web").take(true)).toBeNull();
		expect([link.isOpen, far.closed]).toEqual([true, null]);
		link.end();
		await settled();
		(far.links[1] as TunnelLink).end();
		await settled();
		expect(far.closed).not.toBeNull();
		expect(pool.of("web").live).toBe(false);
	});

	it("L4 M6: a server that stops says so on the connection and on its lanes, before they end", async () => {
		const far = new Far("one");
		take();
		await settled();
		pool.goAway(closeCodes.draining, "the server is stopping");
		await settled();
		expect(far.told.filter((type) => type === FrameType.goAway)).toHaveLength(2);
		expect(far.closed).toBeNull();
	});

	it("L3: a connection that died without a word is found by its own link, and all its lanes end with it", async () => {
		const [near, dead] = duplexPair();
		dead.resume();
		const facts = { id: "dead", name: "", address: "", transport: "shared", tokenId: "t", at: 0 };
		const attached = pool.attach("web", near, facts);
		if (attached === null) throw new Error("no room");
		attached.agent.add(attached.link);
		const broken: number[] = [];
		const { link } = pool.of("web").take(true) as Lease;
		link.open({ kind: "http" }, { ...stream, onBroken: (code) => void broken.push(code) });
		for (let passedMs = 0; passedMs < agentLimits.pingMs + agentLimits.pongMs + 1000; passedMs += 500) {
			await clock.advance(500);
			pool.sweep(now());
			await settled();
		}
		expect([link.isOpen, attached.link.isOpen, broken]).toEqual([false, false, [0]]);
		expect(pool.of("web").live).toBe(false);
	});

	describe("M4: a lane whose window has grown", () => {
		function grown() {
			const { link, agent } = take();
			const { lane } = link;
			if (lane === null) throw new Error("no lane");
			const whole = lane.shared.windows.left;
			lane.onBlocked(0);
			expect(lane.shared.windows.left).toBeLessThan(whole);
			return { link, agent, lane };
		}
		/** Others hold so much that less than half of what all share is left. */
		function crowd(): void {
			const { windows } = grown().lane.shared;
			while (!windows.isScarce) grown();
		}

		it("is kept for the next large body, in use or not, while more than half is left for others", async () => {
			new Far("one");
			const { link, agent, lane } = grown();
			const { left } = lane.shared.windows;
			agent.park(link);
			expect(pool.of("web").take(true)).toMatchObject({ link, warm: true });
			agent.park(link);
			await clock.advance(agentLimits.warmIdleMs);
			pool.sweep(now());
			await settled();
			// Its connection to the service is over: the lane is not.
			expect([link.isOpen, link.isIdle, lane.shared.windows.left]).toEqual([true, true, left]);
			expect(take().link).toBe(link);
		});

		it("gives it back where less is left, after a small request at once, after a large one soon", async () => {
			new Far("one");
			const [small, large] = [grown(), grown()];
			crowd();
			const { left } = small.lane.shared.windows;
			large.link.write(Buffer.alloc(600 * 1024));
			for (const { agent, link } of [small, large]) agent.park(link);
			await settled();
			expect([small.link.isOpen, large.link.isOpen]).toEqual([false, true]);
			expect(large.lane.shared.windows.left).toBeGreaterThan(left);
			await clock.advance(agentLimits.wideIdleMs);
			pool.sweep(now());
			await settled();
			expect(large.link.isOpen).toBe(false);
		});

		it("gives it back also when others need it while nobody uses it", async () => {
			new Far("one");
			const { link, agent, lane } = grown();
			const others = Array.from({ length: lane.shared.windows.bytes / laneLimits.windowBytes[1] }, take);
			agent.park(link);
			await clock.advance(agentLimits.warmIdleMs);
			pool.sweep(now());
			await settled();
			expect([link.isOpen, link.isIdle]).toEqual([true, true]);
			for (const other of others) other.link.lane?.onBlocked(0);
			pool.sweep(now());
			await settled();
			expect(link.isOpen).toBe(false);
		});
	});

	it("keeps a bounded number of idle lanes", async () => {
		const far = new Far("one");
		const leases = Array.from({ length: agentLimits.parkedLanes + 50 }, take);
		await settled();
		for (const { link } of leases) link.end();
		for (const link of [...far.links]) link.end();
		await settled();
		expect(far.agent.busy).toBe(0);
		expect(far.agent.links.size).toBe(agentLimits.parkedLanes + 1);
	});
});
