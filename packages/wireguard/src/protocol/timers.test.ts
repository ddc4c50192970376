import { describe, expect, it } from "vitest";
import { exchange, fromA, fromB, TestMachine, twoMachines } from "../machine.testing.ts";
import { specification } from "./constants.ts";
import { kindOf } from "./messages.ts";

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
});
