import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { exchange, fromA, fromB, TestMachine, twoMachines } from "../machine.testing.ts";
import { specification } from "./constants.ts";
import { kindOf } from "./messages.ts";
import { Timestamps } from "./timestamps.ts";

const run = TestMachine.run;

/** Both with a session that `a` began. */
function connected() {
	const pair = twoMachines();
	pair.a.send(pair.ab, fromA);
	exchange(pair.both);
	return pair;
}

describe("timers", () => {
	it("T1 the initiator begins anew when it sends at 120 s, the responder does not", async () => {
		const { clock, a, b, ab, ba, both } = connected();
		const first = ab.sessions.current;
		await run(clock, specification.rekeyAfterMs - 1, both);
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["transport"]);
		await run(clock, 1, both);
		b.send(ba, fromB);
		expect(exchange(both)).toEqual(["transport"]);
		a.send(ab, fromA);
		expect(exchange(both)).toContain("initiation");
		expect(ab.sessions.current).not.toBe(first);
		expect(ab.sessions.previous).toBe(first);
	});

	it("T1 an initiator that only receives begins anew at 165 s, once", async () => {
		const { clock, b, ab, ba, both } = connected();
		await run(clock, 165_000, both);
		b.send(ba, fromB);
		const created = ab.sessions.current?.createdAt;
		expect(exchange(both)).toEqual(["transport", "initiation", "response", "transport"]);
		expect(ab.sessions.current?.createdAt).not.toBe(created);
	});

	it("T2 an initiation is repeated each 5 s and jitter, 18 times, then what is staged is dropped", async () => {
		const { clock, a, ab } = twoMachines();
		a.send(ab, fromA);
		const at: number[] = [];
		a.outbox.length = 0;
		while (clock.monotonic() < 200_000) {
			await clock.advance(50);
			a.device.tick(clock.monotonic());
			for (const { bytes } of a.outbox.splice(0)) {
				expect(kindOf(bytes)).toBe("initiation");
				at.push(clock.monotonic());
			}
		}
		expect(at).toHaveLength(18);
		let last = 0;
		for (const each of at) {
			expect(each - last).toBeGreaterThanOrEqual(5000);
			expect(each - last).toBeLessThan(5000 + specification.rekeyTimeoutJitterMs + 100);
			last = each;
		}
		expect(a.dropped).toEqual([ab]);
		a.send(ab, fromA);
		expect(a.outbox).toHaveLength(1);
	});

	it("T3 something heard and nothing said for 10 s: one keepalive", async () => {
		const { clock, a, b, ab, both } = connected();
		await run(clock, 30_000, both);
		a.outbox.length = b.outbox.length = 0;
		a.send(ab, fromA);
		exchange(both);
		await clock.advance(9_999);
		b.device.tick(clock.monotonic());
		expect(b.outbox).toEqual([]);
		await clock.advance(1);
		b.device.tick(clock.monotonic());
		expect(b.outbox.map(({ bytes }) => bytes.length)).toEqual([32]);
		exchange(both);
		await run(clock, 60_000, both);
		expect(a.outbox.length + b.outbox.length).toBe(0);
	});

	it("T4 something said and nothing heard for 15 s: a new handshake, from a source of the system's choice", async () => {
		const { clock, a, ab, both } = connected();
		await run(clock, 30_000, both);
		a.send(ab, fromA);
		exchange(both, () => false);
		await clock.advance(14_999);
		a.device.tick(clock.monotonic());
		expect(a.outbox).toEqual([]);
		await clock.advance(400);
		a.device.tick(clock.monotonic());
		expect(a.outbox.map(({ bytes }) => kindOf(bytes))).toEqual(["initiation"]);
	});

	it("T5 S7 every key is erased 540 s after the last session", async () => {
		const { clock, a, b, ab, ba, both } = connected();
		const erased: string[] = [];
		for (const [name, peer] of [
			["a", ab],
			["b", ba],
		] as const) {
			const key = peer.sessions.current!.send;
			const erase = key.erase.bind(key);
			key.erase = () => {
				erased.push(name);
				erase();
			};
		}
		await run(clock, 539_000, both);
		expect(erased).toEqual([]);
		await run(clock, 1_000, both);
		expect(erased.toSorted()).toEqual(["a", "b"]);
		expect(ab.sessions.current).toBeNull();
		expect(a.device.deadline()).toBe(Number.POSITIVE_INFINITY);
		expect(b.device.deadline()).toBe(Number.POSITIVE_INFINITY);
	});

	it("S3 nothing is sent or taken under a keypair of 180 s", async () => {
		const { clock, a, b, ab, both } = connected();
		a.send(ab, fromA);
		const { bytes } = a.outbox.pop()!;
		await clock.advance(specification.rejectAfterMs);
		expect(b.take(bytes, { endpoint: a.endpoint })).toBeLessThan(0);
		expect(b.device.refusals.expired).toBe(1);
		a.send(ab, fromA);
		expect(exchange(both).slice(0, 2)).toEqual(["initiation", "response"]);
	});

	it("S3 counters end with the last that a number tells apart", async () => {
		const { clock, a, ab, both } = connected();
		await run(clock, specification.rekeyTimeoutMs, both);
		const current = ab.sessions.current!;
		current.nextCounter = specification.rejectAfterMessages - 1;
		a.send(ab, fromA);
		expect(exchange(both)).toContain("initiation");
		expect(ab.sessions.current).not.toBe(current);
	});

	it("T6 a persistent keepalive keeps the path open, beginning with a handshake", async () => {
		const { clock, a, ab, both } = twoMachines();
		ab.timers.setPersistentKeepalive(25, a.now);
		await run(clock, 25_000, both);
		expect(ab.sessions.current).not.toBeNull();
		const sent = ab.sentBytes;
		await run(clock, 100_000, both);
		expect(ab.sentBytes).toBe(sent + 4 * 32);
	});

	it("T7 asks for one initiation per 5 s, whoever asks", async () => {
		const { clock, a, ab } = twoMachines();
		for (let each = 0; each < 100; each++) {
			ab.initiate(a.now);
			a.send(ab, fromA);
			await clock.advance(40);
		}
		expect(a.outbox).toHaveLength(1);
	});

	it("T8 a machine that slept drops its sessions and begins anew at once", async () => {
		const { clock, a, ab, both } = connected();
		await run(clock, 1000, both);
		a.device.tick(a.now);
		expect(ab.sessions.current).not.toBeNull();
		// Suspended: the wall clock went on, the monotonic one did not.
		const wall = clock.now.bind(clock);
		clock.now = () => wall() + 3_600_000;
		a.device.tick(a.now);
		expect(ab.sessions.current).toBeNull();
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
	});

	it("T8 what is begun after it, and before it is noticed, goes on: two that slept alike do not undo each other's sessions", async () => {
		const { clock, a, b, ab, ba, both } = connected();
		await run(clock, 1000, both);
		for (const each of both) each.device.tick(each.now);
		const old = ba.sessions.current;
		const wall = clock.now.bind(clock);
		clock.now = () => wall() + 3_600_000;
		// One notices first, and shakes hands with the other, which has not looked yet.
		a.device.tick(a.now);
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
		const made = ba.sessions.current;
		expect(made).not.toBe(old);
		b.device.tick(b.now);
		expect([ba.sessions.current, ba.sessions.previous]).toEqual([made, null]);
		a.send(ab, fromA);
		b.send(ba, fromB);
		expect(exchange(both)).toEqual(["transport", "transport"]);
	});

	it("T8 an initiation that is under way since is not begun again", async () => {
		const { clock, a, b, ab, ba, both } = connected();
		await run(clock, specification.rekeyTimeoutMs, both);
		for (const each of both) each.device.tick(each.now);
		const wall = clock.now.bind(clock);
		clock.now = () => wall() + 3_600_000;
		b.device.tick(b.now);
		// Asked for after the jump, by one that has not looked yet.
		ab.initiate(a.now);
		a.device.tick(a.now);
		expect(ab.sessions.current).toBeNull();
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
		expect(ba.sessions.current).not.toBeNull();
	});

	it("T8 H6 a clock that is set back disturbs no session, and later handshakes are taken", async () => {
		const { clock, a, b, ab, ba, both } = connected();
		const wall = clock.now.bind(clock);
		const month = 30 * 86_400_000;
		clock.now = () => wall() - month;
		for (const each of both) each.device.tick(each.now);
		a.send(ab, fromA);
		b.send(ba, fromB);
		expect(exchange(both)).toEqual(["transport", "transport"]);
		// The initiator's next stamp is a month before the one that the other saw last, by its clock.
		const before = ab.sessions.current;
		await run(clock, specification.rekeyAfterMs, both);
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["initiation", "transport", "response", "transport"]);
		expect(ab.sessions.current).not.toBe(before);
		// Set right again: as far ahead as a sleep, so both begin anew.
		clock.now = wall;
		await run(clock, 5000, both);
		for (const each of both) each.device.tick(each.now);
		expect([ab.sessions.current, ba.sessions.current]).toEqual([null, null]);
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
	});

	it("T8 a correction of the clock by less than 15 s is no sleep", async () => {
		const { clock, a, ab, both } = connected();
		const wall = clock.now.bind(clock);
		let set = 0;
		clock.now = () => wall() + set;
		for (const by of [14_000, -14_000, 10_000]) {
			set += by;
			a.device.tick(a.now);
			expect(ab.sessions.current, `${by} ms`).not.toBeNull();
		}
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["transport"]);
	});

	it("H6 a machine that starts again with its clock a year back is taken for what it has on disk, and not without that", async () => {
		let floor = { seconds: 0, nanos: 0 };
		const clock = new VirtualClock();
		const start = (from: typeof floor, keep = (until: typeof floor) => void (floor = until)) =>
			new TestMachine(clock, 1, new Timestamps(from, keep));
		const b = new TestMachine(clock, 2);
		const talk = (a: TestMachine) => {
			const ab = a.addPeer(b, "10.0.0.2/32");
			a.send(ab, fromA);
			return exchange([a, b]);
		};
		const first = start(floor);
		b.addPeer(first, "10.0.0.1/32");
		expect(talk(first)).toEqual(["initiation", "response", "transport"]);
		const wall = clock.now.bind(clock);
		clock.now = () => wall() - 365 * 86_400_000;
		await clock.advance(1000);
		expect(talk(start({ seconds: 0, nanos: 0 }, () => {}))).toEqual(["initiation"]);
		await clock.advance(1000);
		expect(talk(start(floor))).toEqual(["initiation", "response", "transport"]);
	});
});
