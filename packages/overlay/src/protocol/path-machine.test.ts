import { type NatKind, SeededRandom, type SimulatedHost, SimulatedNetwork, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { pathLimits } from "./path-limits.ts";
import { PathMachine } from "./path-machine.ts";
import type { PathEffect } from "./path-peer.ts";
import type { WireGuardKey } from "./peer-record.ts";
import { type Probe, ProbeSealer, publicKeyOf } from "./probe.ts";
import type { MappedAddress } from "./stun.ts";

const port = 51820;

function sealed(sealer: ProbeSealer, peer: WireGuardKey, probe: Probe, size = 0): Uint8Array {
	const bytes = sealer.seal(peer, probe, size);
	if (bytes === null) throw new Error("this peer's key agrees on no secret");
	return bytes;
}

/** One joiner's paths on the simulated network: the thin loop around the machine. */
class Side {
	readonly machine: PathMachine;
	readonly key: WireGuardKey;
	readonly effects: PathEffect[] = [];
	readonly host: SimulatedHost;
	readonly #sealer: ProbeSealer;
	readonly #clock: VirtualClock;
	readonly #seen = new Map<string, MappedAddress>();
	#timer = { cancel() {} };
	onPunch: (peer: WireGuardKey) => void = () => {};

	constructor(
		network: SimulatedNetwork,
		clock: VirtualClock,
		random: SeededRandom,
		address: string,
		nat?: { kind: NatKind; address: string },
	) {
		const privateKey = random.bytes(32);
		this.key = Buffer.from(publicKeyOf(privateKey)).toString("base64") as WireGuardKey;
		this.#clock = clock;
		this.#sealer = new ProbeSealer(privateKey, random);
		this.machine = new PathMachine(random);
		this.host = network.addHost(address, nat);
		this.host.onDatagram((bytes, from) => {
			if (bytes.length === 1) return void this.#seen.set("stun", from);
			const opened = this.#sealer.open(bytes, (key) => this.machine.knows(key));
			if (opened !== null) this.machine.receive(opened, from, clock.monotonic());
			this.run();
		});
		this.machine.setRelay(true, 0);
	}

	run(): void {
		this.#timer.cancel();
		for (const effect of this.machine.drain()) {
			this.effects.push(effect);
			if (effect.type === "send")
				this.host.send(sealed(this.#sealer, effect.peer, effect.probe, effect.size), port, effect.to);
			else if (effect.type === "punch") this.onPunch(effect.peer);
		}
		const now = this.#clock.monotonic();
		const deadline = this.machine.deadline(now);
		if (deadline === null) return;
		this.#timer = this.#clock.after(Math.max(0, deadline - now), () => {
			this.machine.tick(this.#clock.monotonic());
			this.run();
		});
	}

	routes(): string[] {
		return this.effects.flatMap((effect) => (effect.type === "route" ? [effect.route] : []));
	}
}

interface World {
	readonly clock: VirtualClock;
	readonly network: SimulatedNetwork;
	readonly a: Side;
	readonly b: Side;
	punches: number;
}

/** Two joiners and a coordinator that knows their outside addresses as a STUN server saw them, and passes punches on. */
async function world(
	natA: NatKind,
	natB: NatKind,
	options: { seed?: number; sameNat?: boolean; hard?: boolean } = {},
): Promise<World> {
	const clock = new VirtualClock();
	const random = new SeededRandom(options.seed ?? 1);
	const network = new SimulatedNetwork(clock, random);
	const outside = options.sameNat === true ? ["198.51.100.1", "198.51.100.1"] : ["198.51.100.1", "198.51.100.2"];
	const a = new Side(network, clock, random, natA === "none" ? "203.0.113.1" : "10.0.0.1", {
		kind: natA,
		address: outside[0] as string,
	});
	const b = new Side(
		network,
		clock,
		random,
		natB === "none" ? "203.0.113.2" : options.sameNat === true ? "10.0.0.2" : "10.1.0.2",
		{ kind: natB, address: outside[1] as string },
	);
	const stun = network.addHost("192.0.2.53");
	const mapped = new Map<Side, MappedAddress>();
	let asking: Side = a;
	stun.onDatagram((_bytes, from) => void mapped.set(asking, from));
	for (const side of [a, b]) {
		asking = side;
		side.host.send(Uint8Array.of(0), port, { address: "192.0.2.53", port: 3478 });
		await clock.advance(20);
	}
	const result: World = { clock, network, a, b, punches: 0 };
	const hardNat = (kind: NatKind) => kind === "symmetric" && options.hard === true;
	const local = (side: Side) => ({ address: side.host.address, port });
	for (const [self, other, kind, otherKind] of [
		[a, b, natA, natB],
		[b, a, natB, natA],
	] as const) {
		self.machine.setHardNat(hardNat(kind));
		self.machine.setPeer(
			other.key,
			{
				candidates: [mapped.get(other) as MappedAddress, local(other)],
				relayOnly: false,
				probes: true,
				hardNat: hardNat(otherKind),
			},
			clock.monotonic(),
		);
		self.onPunch = () => {
			result.punches += 1;
			clock.after(15, () => {
				for (const [to, from] of [
					[self, other],
					[other, self],
				] as const) {
					to.machine.punch(from.key, mapped.get(from) as MappedAddress, clock.monotonic());
					to.run();
				}
			});
		};
	}
	a.run();
	b.run();
	return result;
}

const stateOf = ({ a, b }: World) => [a.machine.stateOf(b.key)?.at, b.machine.stateOf(a.key)?.at];

/** Packets as they flow, so that nobody is idle. */
async function flow({ clock, a, b }: World, ms: number): Promise<void> {
	for (let passed = 0; passed < ms; passed += 1_000) {
		a.machine.active(b.key, clock.monotonic());
		b.machine.active(a.key, clock.monotonic());
		await clock.advance(1_000);
	}
}

describe("paths", () => {
	for (const [natA, natB] of [
		["none", "none"],
		["none", "cone"],
		["cone", "none"],
		["cone", "cone"],
		["none", "symmetric"],
		["symmetric", "none"],
	] as const) {
		it(`P1 ${natA} and ${natB} become direct, and stay so`, async () => {
			const it = await world(natA, natB);
			await flow(it, 15_000);
			expect(stateOf(it)).toEqual(["direct", "direct"]);
			await flow(it, 300_000);
			expect(stateOf(it)).toEqual(["direct", "direct"]);
			expect(it.a.routes()).toEqual(["relay", "direct"]);
		});
	}

	for (const [natA, natB] of [
		["symmetric", "symmetric"],
		["cone", "symmetric"],
	] as const) {
		it(`P2 ${natA} and ${natB} stay with the relay, and ask for few punches`, async () => {
			const it = await world(natA, natB, { hard: true });
			await flow(it, 600_000);
			expect(stateOf(it)).toEqual(["relay", "relay"]);
			expect(it.a.routes()).toEqual(["relay"]);
			expect(it.punches).toBeLessThan(100);
			if (natA === "symmetric") expect(it.punches).toBe(0);
		});
	}

	it("P3 two behind one NAT without hairpin meet inside it", async () => {
		const it = await world("cone", "cone", { sameNat: true });
		await flow(it, 10_000);
		expect(it.a.machine.stateOf(it.b.key)).toMatchObject({ at: "direct", endpoint: { address: "10.0.0.2", port } });
	});

	it("P4 a path that breaks is doubted within 6.5 s: both ways, then the relay, and direct again once it heals", async () => {
		const it = await world("none", "none");
		await flow(it, 10_000);
		it.network.block("203.0.113.1", "203.0.113.2");
		await flow(it, 8_000);
		expect(it.a.routes().at(-1)).toBe("both");
		await flow(it, 12_000);
		expect(it.a.routes().at(-1)).toBe("relay");
		it.network.block("203.0.113.1", "203.0.113.2", false);
		await flow(it, 90_000);
		expect(it.a.routes()).toEqual(["relay", "direct", "both", "relay", "direct"]);
		expect(it.a.machine.stateOf(it.b.key)?.endpoint?.address).toBe("203.0.113.2");
	});

	it("P5 a NAT that was restarted gives another port: the path moves, and no endpoint is lost for it", async () => {
		const it = await world("cone", "none");
		await flow(it, 10_000);
		const before = it.b.machine.stateOf(it.a.key)?.endpoint?.port;
		it.network.forget("198.51.100.1");
		await flow(it, 30_000);
		expect(stateOf(it)).toEqual(["direct", "direct"]);
		expect(it.b.machine.stateOf(it.a.key)?.endpoint?.port).not.toBe(before);
	});

	it("P6 without a relay everything is sent directly; when it comes back nothing that works is moved", async () => {
		const it = await world("none", "none");
		it.a.machine.setRelay(false, 0);
		it.a.run();
		expect(it.a.routes().at(-1)).toBe("direct");
		await flow(it, 10_000);
		it.a.machine.setRelay(true, it.clock.monotonic());
		it.a.run();
		expect(it.a.routes().at(-1)).toBe("direct");
	});

	it("P7 a roster update never clobbers a path that works", async () => {
		const it = await world("none", "none");
		await flow(it, 10_000);
		it.a.effects.length = 0;
		it.a.machine.setPeer(
			it.b.key,
			{ candidates: [{ address: "198.51.100.77", port: 1 }], relayOnly: false, probes: true, hardNat: false },
			it.clock.monotonic(),
		);
		await flow(it, 20_000);
		expect(it.a.machine.stateOf(it.b.key)).toMatchObject({ at: "direct", endpoint: { address: "203.0.113.2" } });
		expect(it.a.effects.filter((effect) => effect.type === "endpoint" || effect.type === "route")).toEqual([]);
	});

	it("P8 a punch of a peer without probes is exactly one initiation", async () => {
		const machine = new PathMachine(new SeededRandom(3));
		machine.setRelay(true, 0);
		const key = "k" as WireGuardKey;
		machine.setPeer(
			key,
			{ candidates: [{ address: "203.0.113.9", port: 1 }], relayOnly: false, probes: false, hardNat: false },
			0,
		);
		expect(machine.drain().filter((each) => each.type === "route")).toEqual([
			{ type: "route", peer: key, route: "both" },
		]);
		machine.punch(key, { address: "203.0.113.9", port: 2 }, 10);
		machine.tick(20);
		expect(machine.drain().filter((each) => each.type === "handshake")).toHaveLength(1);
	});

	it("P9 an answer counts only from where it was asked; a replayed ping moves nothing", async () => {
		const random = new SeededRandom(4);
		const [mine, theirs] = [random.bytes(32), random.bytes(32)];
		const [own, other] = [new ProbeSealer(mine, random), new ProbeSealer(theirs, random)];
		const [ownKey, otherKey] = [mine, theirs].map(
			(each) => Buffer.from(publicKeyOf(each)).toString("base64") as WireGuardKey,
		) as [WireGuardKey, WireGuardKey];
		const machine = new PathMachine(random);
		machine.setRelay(true, 0);
		const real = { address: "203.0.113.9", port: 1 };
		machine.setPeer(otherKey, { candidates: [real], relayOnly: false, probes: true, hardNat: false }, 0);
		const ping = machine.drain().find((each) => each.type === "send");
		if (ping?.type !== "send") throw new Error("no ping went out");
		const opened = other.open(sealed(own, otherKey, ping.probe), (key) => key === ownKey);
		const pong = own.open(
			sealed(other, ownKey, { type: "pong", tx: opened?.probe.tx ?? "", size: 0, seen: real }),
			() => true,
		);
		if (pong === null) throw new Error("the pong could not be opened");
		machine.receive(pong, { address: "192.0.2.66", port: 6 }, 5);
		expect(machine.stateOf(otherKey)?.at).toBe("relay");
		const stray = own.open(sealed(other, ownKey, { type: "ping", tx: "00".repeat(8) }), () => true);
		if (stray === null) throw new Error("the ping could not be opened");
		for (let count = 0; count < 100; count++) machine.receive(stray, { address: "192.0.2.66", port: 1_000 + count }, 6);
		expect(machine.stateOf(otherKey)?.at).toBe("relay");
		expect(
			machine.drain().filter((each) => each.type === "send" && each.probe.type === "ping").length,
		).toBeLessThanOrEqual(pathLimits.maxCandidates);
		// Sealed by a stranger, cut, or flipped anywhere: as if it had not come.
		const whole = sealed(other, ownKey, { type: "ping", tx: "11".repeat(8) });
		for (let at = 0; at < whole.length; at++) {
			const flipped = Uint8Array.from(whole);
			flipped[at] = (flipped[at] as number) ^ 1;
			expect(own.open(flipped, () => true)).toBeNull();
			expect(own.open(whole.subarray(0, at), () => true)).toBeNull();
		}
		expect(own.open(whole, () => false)).toBeNull();
	});

	it("P10 the MTU of each path is found; one too narrow for IPv6 leaves the peer with the relay", async () => {
		const wide = await world("none", "none");
		await flow(wide, 10_000);
		expect(wide.a.machine.stateOf(wide.b.key)?.mtu).toBe(1420);
		const tunnel = await world("none", "none");
		tunnel.network.maxPayloadBytes = 1_400 + pathLimits.sealedBytes;
		await flow(tunnel, 10_000);
		expect(tunnel.a.machine.stateOf(tunnel.b.key)).toMatchObject({ at: "direct", mtu: 1380 });
		const narrow = await world("none", "none");
		narrow.network.maxPayloadBytes = 1_280 - 48;
		await flow(narrow, 20_000);
		expect(narrow.a.machine.stateOf(narrow.b.key)).toMatchObject({ at: "relay", mtu: 1280 });
		expect(narrow.a.routes().at(-1)).toBe("relay");
	});

	it("P10 a path in use that becomes narrower is noticed, and so is one that becomes wider again", async () => {
		const it = await world("cone", "cone");
		await flow(it, 15_000);
		it.network.maxPayloadBytes = 1_340 + pathLimits.sealedBytes;
		await flow(it, 15_000);
		for (const [side, other] of [
			[it.a, it.b],
			[it.b, it.a],
		] as const)
			expect(side.machine.stateOf(other.key)).toMatchObject({ at: "direct", mtu: 1340 });
		it.network.maxPayloadBytes = 1_500;
		await flow(it, 15_000);
		expect(it.a.machine.stateOf(it.b.key)).toMatchObject({ at: "direct", mtu: 1420 });
		it.network.maxPayloadBytes = 1_240;
		await flow(it, 20_000);
		expect(stateOf(it)).toEqual(["relay", "relay"]);
	});

	it("P10 a path that is down is not taken for a narrow one", async () => {
		const it = await world("none", "none");
		await flow(it, 12_000);
		// Cut when the next look at its width is due, for longer than that takes.
		it.network.loss = 1;
		await flow(it, 15_000);
		it.network.loss = 0;
		await flow(it, 40_000);
		expect(stateOf(it)).toEqual(["direct", "direct"]);
		expect(it.a.machine.stateOf(it.b.key)?.mtu).toBe(1420);
	});

	it("P11 a faster path is moved to, a hardly better one is not", async () => {
		const it = await world("none", "none");
		await flow(it, 10_000);
		it.a.effects.length = 0;
		await flow(it, 180_000);
		expect(it.a.effects.filter((effect) => effect.type === "endpoint")).toEqual([]);
	});

	it("P12 without traffic a path is kept open with few datagrams, and trusted when traffic comes back", async () => {
		const it = await world("cone", "cone");
		await flow(it, 10_000);
		await it.clock.advance(120_000);
		it.a.effects.length = 0;
		await it.clock.advance(300_000);
		expect(it.a.effects.filter((effect) => effect.type === "send").length).toBeLessThan(200);
		expect(stateOf(it)).toEqual(["direct", "direct"]);
	});

	it("P12 a path that broke while nobody used it is doubted soon after traffic comes back", async () => {
		const it = await world("none", "none");
		await flow(it, 10_000);
		await it.clock.advance(120_000);
		const { machine, key } = it.b;
		machine.removePeer(it.a.key);
		it.a.machine.active(key, it.clock.monotonic());
		it.a.run();
		await it.clock.advance(pathLimits.trustMs + 1);
		expect(it.a.machine.stateOf(key)?.at).toBe("doubted");
	});

	it("P16 a stock client behind this host is never sent to by the relay; another one is, until it was heard", () => {
		const machine = new PathMachine(new SeededRandom(7));
		const [behind, away] = ["behind", "away"] as unknown as [WireGuardKey, WireGuardKey];
		machine.setRelay(true, 0);
		const stock = { candidates: [], relayOnly: false, probes: false, hardNat: false };
		machine.setPeer(behind, { ...stock, directOnly: true }, 0);
		machine.setPeer(away, stock, 0);
		expect(machine.drain()).toEqual([
			{ type: "route", peer: behind, route: "direct" },
			{ type: "route", peer: away, route: "relay" },
		]);
		for (const key of [behind, away]) machine.roamed(key, { address: "203.0.113.9", port: 1 }, 1_000);
		expect(machine.drain()).toEqual([{ type: "route", peer: away, route: "both" }]);
	});

	it("P15 where authenticated datagrams come from becomes the path once it answers, though the one before was faster", () => {
		const random = new SeededRandom(6);
		const [mine, theirs] = [random.bytes(32), random.bytes(32)];
		const [own, other] = [new ProbeSealer(mine, random), new ProbeSealer(theirs, random)];
		const [ownKey, key] = [mine, theirs].map(
			(each) => Buffer.from(publicKeyOf(each)).toString("base64") as WireGuardKey,
		) as [WireGuardKey, WireGuardKey];
		const machine = new PathMachine(random);
		const [before, after] = [
			{ address: "203.0.113.9", port: 1 },
			{ address: "198.51.100.7", port: 2 },
		];
		/** The peer answers the newest ping that went to this address. */
		const answer = (effects: readonly PathEffect[], from: MappedAddress, now: number) => {
			const ping = effects.findLast(
				(each) => each.type === "send" && each.to.address === from.address && each.size === 0,
			);
			if (ping?.type !== "send") throw new Error(`no ping went to ${from.address}`);
			const tx = other.open(sealed(own, key, ping.probe), (each) => each === ownKey)?.probe.tx ?? "";
			const pong = own.open(sealed(other, ownKey, { type: "pong", tx, size: 0, seen: before }), () => true);
			if (pong === null) throw new Error("the pong could not be opened");
			machine.receive(pong, from, now);
		};
		machine.setRelay(true, 0);
		machine.setPeer(key, { candidates: [before], relayOnly: false, probes: true, hardNat: false }, 0);
		answer(machine.drain(), before, 5);
		expect(machine.stateOf(key)).toMatchObject({ at: "direct", endpoint: before });
		machine.drain();

		machine.roamed(key, before, 1_000);
		expect(machine.drain()).toEqual([]);
		machine.roamed(key, after, 1_000);
		expect(machine.stateOf(key)).toMatchObject({ at: "direct", endpoint: before });
		const asked = machine.drain();
		machine.roamed(key, before, 1_010);
		machine.roamed(key, after, 1_020);
		expect(machine.drain().filter((each) => each.type === "send" && each.to.address === after.address)).toEqual([]);
		answer(asked, after, 1_150);
		expect(machine.stateOf(key)).toMatchObject({ at: "direct", endpoint: after });
		machine.removePeer(key);
		machine.roamed(key, after, 2_000);
		expect(machine.stateOf(key)).toBeNull();
	});

	it("P13 a relay-only peer is never probed", async () => {
		const it = await world("none", "none");
		it.a.machine.setPeer(
			it.b.key,
			{ candidates: [{ address: "203.0.113.2", port }], relayOnly: true, probes: true, hardNat: false },
			it.clock.monotonic(),
		);
		it.a.run();
		it.a.effects.length = 0;
		await flow(it, 60_000);
		expect(it.a.effects.filter((effect) => effect.type === "send")).toEqual([]);
		expect(it.a.routes()).toEqual([]);
	});

	it("P14 with a fifth of all datagrams lost, cone NATs still meet and stay together (20 seeds)", async () => {
		for (let seed = 1; seed <= 20; seed++) {
			const it = await world("cone", "cone", { seed });
			it.network.loss = 0.2;
			await flow(it, 60_000);
			let direct = 0;
			for (let round = 0; round < 20; round++) {
				await flow(it, 2_000);
				if (stateOf(it).every((each) => each !== "relay")) direct += 1;
			}
			expect(direct, `seed ${seed}`).toBeGreaterThanOrEqual(18);
		}
	});
});
