import { HealthTable, WarrenError } from "@warren/kernel";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import type { CoordinatorLink } from "./coordinator-link.ts";
import type { CoordinatorSession } from "./coordinator-session.ts";
import { Heartbeat } from "./heartbeat.ts";
import { joinerLimits } from "./joiner-options.ts";
import type { Registration } from "./registration.ts";

/** A heartbeat whose coordinator answers at once, and what it told whom. */
function openHeartbeat() {
	const clock = new VirtualClock();
	const told: unknown[] = [];
	const seen = { beats: 0, jumps: 0, registered: 0, failures: [] as unknown[], peers: [] as (readonly unknown[])[] };
	const registration = {
		peerId: "peer-1",
		isKnown: true,
		observedEndpoint: null,
		register: async () => {
			seen.registered += 1;
			registration.isKnown = true;
		},
	};
	const session = {
		isStreaming: true,
		failed: (failure: unknown) => {
			seen.failures.push(failure);
			registration.isKnown = false;
		},
		blamed: (url: string) => url,
		returnToEarlier: async () => {},
	};
	const link = {
		url: "https://coordinator",
		answer: async (): Promise<unknown> => ({ peers: ["everybody"] }),
		call: (_method: string, _path: string, body: unknown) => {
			told.push(body);
			return link.answer();
		},
	};
	const heartbeat = new Heartbeat({
		clock,
		random: new SeededRandom(1),
		health: new HealthTable(clock),
		link: link as unknown as CoordinatorLink,
		registration: registration as unknown as Registration,
		session: session as unknown as CoordinatorSession,
		facts: () => ({ listenPort: 51820, candidates: [], apps: [], appNames: {}, paths: [], nat: null, isHealthy: true }),
		onBeat: () => void (seen.beats += 1),
		onClockJump: () => void (seen.jumps += 1),
		onPeers: (peers) => void seen.peers.push(peers),
		onPunch: () => {},
		signal: new AbortController().signal,
	});
	heartbeat.start();
	return { clock, heartbeat, told, seen, registration, session, link, [Symbol.dispose]: () => heartbeat.close() };
}

const beat = joinerLimits.heartbeatMs;

describe("a heartbeat", () => {
	it("J11 a clock that is set, either way, or a host that slept, is noticed at the next beat", async () => {
		using made = openHeartbeat();
		const { clock, seen } = made;
		const wall = clock.now.bind(clock);
		let set = 0;
		clock.now = () => wall() + set;
		await clock.advance(2 * beat);
		expect(seen).toMatchObject({ beats: 2, jumps: 0 });
		for (const [by, jumps] of [
			[3_600_000, 1],
			[-7_200_000, 2],
			[4_000, 2],
			[-4_000, 2],
			[365 * 86_400_000, 3],
		] as const) {
			set += by;
			await clock.advance(beat);
			expect(seen.jumps, `${by} ms`).toBe(jumps);
		}
	});

	it("tells that it is there every 20 s at most, sooner when something changed, and takes the roster where no stream brings it", async () => {
		using made = openHeartbeat();
		await made.clock.advance(10 * beat);
		expect(made.told.length).toBeGreaterThanOrEqual(10);
		expect(made.told.length).toBeLessThanOrEqual(11);
		expect(made.told[0]).toMatchObject({ peer_id: "peer-1", follows_stream: true, wg_listen_port: 51820 });
		const before = made.told.length;
		for (let i = 0; i < 5; i++) made.heartbeat.soon();
		await made.clock.advance(200);
		expect(made.told.length).toBe(before + 1);
		expect(made.seen.peers).toEqual([]);
		made.session.isStreaming = false;
		await made.clock.advance(beat);
		expect(made.seen.peers[0]).toEqual(["everybody"]);
	});

	it("C1 takes no roster from the answer to a beat that said it follows the stream, also when that ends before it comes", async () => {
		using made = openHeartbeat();
		const held = Promise.withResolvers<unknown>();
		made.link.answer = () => held.promise;
		await made.clock.advance(beat);
		expect(made.told).toMatchObject([{ follows_stream: true }]);
		made.session.isStreaming = false;
		held.resolve({ peers: [] });
		await made.clock.advance(1);
		expect(made.seen.peers, "nobody is no roster: every peer would be let go of").toEqual([]);
	});

	it("J14 tells a change that comes while it tells, soon and after it, never beside it", async () => {
		using made = openHeartbeat();
		const good = made.link.answer;
		const held = Promise.withResolvers<unknown>();
		made.link.answer = () => held.promise;
		await made.clock.advance(beat);
		expect(made.told).toHaveLength(1);
		made.heartbeat.soon();
		await made.clock.advance(1_000);
		expect(made.told, "one at a time: the older would be believed if it came last").toHaveLength(1);
		made.link.answer = good;
		held.resolve({ peers: [] });
		await made.clock.advance(1);
		await made.clock.advance(200);
		expect(made.told).toHaveLength(2);
		await made.clock.advance(1_000);
		expect(made.told, "and once").toHaveLength(2);
	});

	it("J14 a change before the first beat is not put off by it", async () => {
		using made = openHeartbeat();
		made.heartbeat.soon();
		made.heartbeat.start();
		await made.clock.advance(200);
		expect(made.told).toHaveLength(1);
	});

	it("registers again where it is not known any more, and goes on where it is refused", async () => {
		using made = openHeartbeat();
		const good = made.link.answer;
		made.link.answer = () => Promise.reject(new WarrenError("unknown_peer", "Unknown.", { status: 404 }));
		await made.clock.advance(beat);
		expect(made.seen).toMatchObject({ registered: 1, failures: [{ status: 404 }] });
		made.link.answer = good;
		const before = made.told.length;
		await made.clock.advance(beat);
		expect(made.told.length).toBeGreaterThan(before);
		expect(made.seen.failures).toHaveLength(1);
		made.heartbeat.close();
		expect(made.clock.pending).toBe(0);
	});
});
