import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exchange, fromA, fromB, innerPacket, TestMachine, twoMachines } from "../machine.testing.ts";
import { limits, specification } from "./constants.ts";
import type { Device } from "./device.ts";
import { endpointOf } from "./endpoint.ts";
import { kindOf } from "./messages.ts";
import { Timestamps } from "./timestamps.ts";

const elsewhere = { endpoint: endpointOf("198.51.100.7", 7)! };

describe("a handshake", () => {
	it("H1 carries what was staged, both ways, in initiation, response and data", () => {
		const { a, b, ab, ba, both } = twoMachines();
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
		expect(b.delivered).toEqual([fromA]);
		b.send(ba, fromB);
		exchange(both);
		expect(a.delivered).toEqual([fromB]);
	});

	it("H2 with nothing staged the initiator confirms with a keepalive, and the responder may send only then", () => {
		const { a, b, ab, ba, both } = twoMachines();
		ab.initiate(a.now);
		exchange(both, (kind) => kind !== "transport");
		expect(ba.sessions.current).toBeNull();
		expect(ba.sessions.next).not.toBeNull();
		b.send(ba, fromB);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
		expect(a.delivered).toEqual([fromB]);
	});

	it("H3 two that begin at once both end with a session, without a retry", () => {
		const { a, b, ab, ba, both } = twoMachines();
		a.send(ab, fromA);
		b.send(ba, fromB);
		exchange(both);
		expect(a.delivered).toEqual([fromB]);
		expect(b.delivered).toEqual([fromA]);
	});

	it("H4 works with a preshared key that both hold, and is silent when they differ", async () => {
		const { clock, a, b, ab, ba, both } = twoMachines();
		ab.setPresharedKey(new Uint8Array(32).fill(9));
		a.send(ab, fromA);
		exchange(both);
		expect(b.delivered).toEqual([]);
		ba.setPresharedKey(new Uint8Array(32).fill(9));
		ab.wake(Number.POSITIVE_INFINITY);
		await clock.advance(100);
		a.send(ab, fromA);
		exchange(both);
		expect(ab.sessions.current).not.toBeNull();
	});

	it("H4 a stranger's key is answered by silence", () => {
		const { clock, b } = twoMachines();
		const stranger = new TestMachine(clock, 3);
		stranger.addPeer(b, "10.0.0.2/32").initiate(stranger.now);
		exchange([stranger, b]);
		expect(b.outbox).toEqual([]);
		expect([...b.device.peers][0]?.sessions.next).toBeNull();
	});

	it("H5 a replayed initiation changes nothing, not even the endpoint", async () => {
		const { clock, a, b, ab, ba, both } = twoMachines();
		ab.initiate(a.now);
		const [initiation] = a.outbox;
		exchange(both);
		const session = ba.sessions.current;
		await clock.advance(1000);
		b.take(initiation!.bytes, elsewhere);
		expect(b.outbox).toEqual([]);
		expect(ba.sessions.current).toBe(session);
		expect(ba.sessions.next).toBeNull();
		expect(ba.endpoint?.address).toBe(a.endpoint.address);
	});

	it("H5 initiations of one peer are answered at most every 20 ms", async () => {
		const { clock, a, b, ab, both } = twoMachines();
		ab.initiate(a.now);
		exchange(both);
		ab.wake(Number.POSITIVE_INFINITY);
		ab.initiate(a.now);
		expect(exchange(both)).toEqual(["initiation"]);
		await clock.advance(limits.handshakeIntervalMs);
		ab.wake(Number.POSITIVE_INFINITY);
		ab.initiate(a.now);
		expect(exchange(both)).toContain("response");
		expect(b.device.waitingHandshakes).toBe(0);
	});

	it("H6 stamps rise though the clock goes back and the process starts again", () => {
		const reserved: { seconds: number; nanos: number }[] = [];
		const first = new Timestamps({ seconds: 0, nanos: 0 }, (until) => reserved.push(until));
		const stamps = [first.next(1_800_000_000_000), first.next(1_800_000_000_000), first.next(1_700_000_000_000)];
		expect(reserved).toHaveLength(1);
		// Killed: only what was reserved is known.
		const second = new Timestamps(reserved.at(-1)!, (until) => reserved.push(until));
		stamps.push(second.next(1_800_000_000_500), second.next(1_600_000_000_000));
		const hex = stamps.map((stamp) => Buffer.from(stamp).toString("hex"));
		expect(hex.toSorted()).toEqual(hex);
		expect(new Set(hex).size).toBe(hex.length);
		expect(hex[0]?.slice(0, 16)).toBe((2n ** 62n + 1_800_000_010n).toString(16));
		expect(reserved).toHaveLength(2);
	});

	it("H7 no changed bit of a message gets an answer or a session", () => {
		const { clock, a, b, ab } = twoMachines();
		ab.initiate(a.now);
		const initiation = a.outbox.pop()!.bytes;
		for (let bit = 0; bit < initiation.length * 8; bit += 5) {
			const changed = Uint8Array.from(initiation);
			changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
			// MAC2 counts under load alone, and reserved bits of the sender's index are its own.
			if (bit >> 3 >= 132) continue;
			b.take(changed, elsewhere);
			expect(b.outbox, `bit ${bit}`).toEqual([]);
		}
		expect(clock.monotonic()).toBe(0);
		b.take(initiation, { endpoint: a.endpoint });
		expect(b.outbox).toHaveLength(1);
		const response = b.outbox.pop()!.bytes;
		for (let bit = 0; bit < 76 * 8; bit += 5) {
			const changed = Uint8Array.from(response);
			changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
			a.take(changed, elsewhere);
			expect(ab.sessions.current, `bit ${bit}`).toBeNull();
		}
		a.take(response, { endpoint: b.endpoint });
		expect(ab.sessions.current).not.toBeNull();
	});

	it("H7 random datagrams and mutations of real ones neither throw nor move anything", () => {
		const { a, b, ab, both } = twoMachines();
		a.send(ab, fromA);
		exchange(both);
		a.send(ab, fromA);
		const corpus = [a.outbox.pop()!.bytes];
		ab.wake(Number.POSITIVE_INFINITY);
		ab.initiate(a.now);
		corpus.push(a.outbox.pop()!.bytes);
		const before = [...b.device.peers][0]?.endpoint;
		fc.assert(
			fc.property(
				fc.oneof(
					fc.uint8Array({ maxLength: 300 }),
					fc
						.tuple(fc.constantFrom(...corpus), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat({ max: 200 }))
						.map(([bytes, at, flip, cut]) => {
							const changed = bytes.slice(0, Math.max(1, bytes.length - cut));
							const where = at % Math.min(changed.length, 116);
							changed[where] = (changed[where] as number) ^ flip;
							return changed;
						}),
				),
				(bytes) => {
					if (kindOf(bytes) === "foreign") expect(b.device.receive(bytes, elsewhere, b.now)).toBe(false);
					else b.take(bytes, elsewhere);
					expect(b.outbox).toEqual([]);
					expect([...b.device.peers][0]?.endpoint).toBe(before);
				},
			),
			{ numRuns: 400 },
		);
	});

	it("S5 takes no own key and no key of small order for a peer", () => {
		const { a } = twoMachines();
		expect(() => a.device.addPeer(a.device.publicKey, 1420)).toThrow(/own public key/);
		expect(() => a.device.addPeer(new Uint8Array(32), 1420)).toThrow(/small order/);
	});
});

describe("under load", () => {
	/** Fills the queue to the mark with what costs nothing to refuse. */
	const flood = (device: Device, now: number, count: number) => {
		const junk = new Uint8Array(148);
		junk[0] = 1;
		let taken = 0;
		for (let each = 0; each < count; each++) if (device.receive(junk, elsewhere, now)) taken += 1;
		return taken;
	};

	it("L1 L2 an initiation gets a cookie, and only the next one, with MAC2, an answer", async () => {
		const { clock, a, b, ab, ba, both } = twoMachines();
		flood(b.device, b.now, limits.underLoadQueue + 1);
		b.device.work(limits.handshakeQueue, b.now);
		ab.initiate(a.now);
		expect(exchange(both)).toEqual(["initiation", "cookie"]);
		expect(ba.sessions.next).toBeNull();
		await clock.advance(specification.rekeyTimeoutMs);
		flood(b.device, b.now, limits.underLoadQueue + 1);
		b.device.work(limits.handshakeQueue, b.now);
		ab.initiate(a.now);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
	});

	it("L2 a cookie is of one address, and does not move an endpoint", async () => {
		const { clock, a, b, ab } = twoMachines();
		flood(b.device, b.now, limits.underLoadQueue + 1);
		b.device.work(limits.handshakeQueue, b.now);
		ab.initiate(a.now);
		b.take(a.outbox.pop()!.bytes, { endpoint: a.endpoint });
		const cookie = b.outbox.pop()!.bytes;
		a.take(cookie, elsewhere);
		expect(ab.endpoint?.address).toBe(b.endpoint.address);
		await clock.advance(specification.rekeyTimeoutMs);
		flood(b.device, b.now, limits.underLoadQueue + 1);
		b.device.work(limits.handshakeQueue, b.now);
		ab.initiate(a.now);
		b.take(a.outbox.pop()!.bytes, elsewhere);
		expect(kindOf(b.outbox.pop()!.bytes)).toBe("cookie");
	});

	it("L1 a cookie reply is shorter than what asked for it", () => {
		const { a, b, ab } = twoMachines();
		flood(b.device, b.now, limits.underLoadQueue + 1);
		b.device.work(limits.handshakeQueue, b.now);
		ab.initiate(a.now);
		const asked = a.outbox.pop()!.bytes;
		b.take(asked, { endpoint: a.endpoint });
		expect(b.outbox.pop()!.bytes.length).toBeLessThan(asked.length);
	});

	it("L4 takes 1,024 waiting messages and not one more", () => {
		const { b } = twoMachines();
		expect(flood(b.device, b.now, limits.handshakeQueue + 1)).toBe(limits.handshakeQueue);
	});
});

describe("a session", () => {
	it("S2 a message counts once, in any order within the window", () => {
		const { a, b, ab, both } = twoMachines();
		a.send(ab, fromA);
		exchange(both);
		for (let each = 0; each < 10; each++) a.send(ab, fromA);
		const messages = a.outbox.splice(0).map(({ bytes }) => bytes);
		for (const bytes of messages.toReversed()) expect(b.take(bytes, { endpoint: a.endpoint })).toBe(fromA.length);
		for (const bytes of messages) expect(b.take(bytes, elsewhere)).toBeLessThan(0);
		expect(b.device.refusals.replayed).toBe(10);
		expect([...b.device.peers][0]?.endpoint?.address).toBe(a.endpoint.address);
	});

	it("S2 a forged message does not move the window", () => {
		const { a, b, ab, both } = twoMachines();
		a.send(ab, fromA);
		exchange(both);
		a.send(ab, fromA);
		const { bytes } = a.outbox.pop()!;
		const forged = Uint8Array.from(bytes);
		forged[10] = 0xff;
		expect(b.take(forged, elsewhere)).toBeLessThan(0);
		expect(b.device.refusals.notAuthentic).toBe(1);
		expect(b.take(bytes, { endpoint: a.endpoint })).toBe(fromA.length);
	});

	it("S4 pads to 16 bytes, not past the MTU, and trims", () => {
		const { a, b, ab, both } = twoMachines();
		a.send(ab, fromA);
		exchange(both);
		a.send(ab, innerPacket("10.0.0.1", "10.0.0.2", 21));
		expect(a.outbox[0]?.bytes.length).toBe(16 + 48 + 16);
		exchange(both);
		expect(b.delivered.at(-1)?.length).toBe(41);
		ab.mtu = 41;
		a.send(ab, innerPacket("10.0.0.1", "10.0.0.2", 21));
		expect(a.outbox[0]?.bytes.length).toBe(16 + 41 + 16);
		exchange(both);
		expect(b.delivered.at(-1)?.length).toBe(41);
	});

	it("S5 S6 a peer cannot send from another's address, and does not roam by trying", () => {
		const { a, b, ab, ba, both } = twoMachines();
		a.send(ab, fromA);
		exchange(both);
		a.send(ab, innerPacket("10.0.0.66", "10.0.0.2"));
		expect(b.take(a.outbox.pop()!.bytes, elsewhere)).toBeLessThan(0);
		expect(b.device.refusals.wrongSource).toBe(1);
		expect(ba.endpoint?.address).toBe(a.endpoint.address);
		a.send(
			ab,
			Uint8Array.from({ length: 32 }, () => 0xff),
		);
		expect(b.take(a.outbox.pop()!.bytes, elsewhere)).toBeLessThan(0);
		expect(b.device.refusals.malformedPacket).toBe(1);
	});

	it("S6 roams by what is authentic, never by the relay, whose word is checked", () => {
		const { clock, a, b, ab, ba, both } = twoMachines();
		a.send(ab, fromA);
		exchange(both);
		a.send(ab, fromA);
		b.take(a.outbox.pop()!.bytes, elsewhere);
		expect(ba.endpoint?.address).toBe("198.51.100.7");
		a.send(ab, fromA);
		const other = new TestMachine(clock, 9);
		expect(b.take(a.outbox[0]!.bytes, { relayedBy: other.device.publicKey })).toBeLessThan(0);
		expect(b.take(a.outbox.pop()!.bytes, { relayedBy: a.device.publicKey })).toBe(fromA.length);
		expect(ba.endpoint?.address).toBe("198.51.100.7");
	});

	it("S6 two that know only a relay shake hands and talk through it", () => {
		const { a, b, ab, ba, both } = twoMachines();
		ab.route = ba.route = "relay";
		ab.endpoint = ba.endpoint = null;
		a.send(ab, fromA);
		b.send(ba, fromB);
		exchange(both);
		expect(a.delivered).toEqual([fromB]);
		expect(b.delivered).toEqual([fromA]);
		expect(ba.endpoint).toBeNull();
	});
});
