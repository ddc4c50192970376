import { SeededRandom, VirtualClock } from "@warren/testkit";
import { nodePrimitives } from "./crypto/node-primitives.ts";
import { nodeTransportKeys } from "./crypto/node-transport-key.ts";
import { parseCidr } from "./protocol/cidr.ts";
import { Device, type Origin } from "./protocol/device.ts";
import { type Endpoint, endpointOf } from "./protocol/endpoint.ts";
import { kindOf, type MessageKind } from "./protocol/messages.ts";
import type { Peer } from "./protocol/peer.ts";
import { Timestamps } from "./protocol/timestamps.ts";

/** A device with its arena, on a virtual clock; what it sends goes to `outbox`. */
export class TestMachine {
	readonly arena = new Uint8Array(256 * 1024);
	readonly outbox: { readonly to: Endpoint | Uint8Array; readonly bytes: Uint8Array }[] = [];
	readonly delivered: Uint8Array[] = [];
	readonly dropped: Peer[] = [];
	readonly changes: Peer[] = [];
	readonly endpoint: Endpoint;
	readonly device: Device;
	readonly staged = new Map<Peer, Uint8Array[]>();
	readonly clock: VirtualClock;

	constructor(clock: VirtualClock, name: number, timestamps = new Timestamps({ seconds: 0, nanos: 0 }, () => {})) {
		this.clock = clock;
		this.endpoint = endpointOf(`192.0.2.${name}`, 51820) as Endpoint;
		const random = new SeededRandom(name);
		this.device = new Device(
			{
				p: nodePrimitives,
				random,
				clock,
				timestamps,
				makeKey: nodeTransportKeys(this.arena),
				arena: this.arena,
				effects: {
					datagram: (to, bytes) => void this.outbox.push({ to, bytes }),
					relayed: (publicKey, bytes) => void this.outbox.push({ to: publicKey, bytes }),
					flushStaged: (peer) => {
						const staged = this.staged.get(peer) ?? [];
						this.staged.delete(peer);
						for (const packet of staged) this.send(peer, packet);
						return staged.length > 0;
					},
					dropStaged: (peer) => {
						this.staged.delete(peer);
						this.dropped.push(peer);
					},
					keepalive: (peer) => this.send(peer, new Uint8Array(0)),
					changed: (peer) => void this.changes.push(peer),
				},
			},
			random.bytes(32),
		);
	}

	get now(): number {
		return this.clock.monotonic();
	}

	addPeer(other: TestMachine, allowed: string, knowsWhere = true): Peer {
		const peer = this.device.addPeer(other.device.publicKey, 1420);
		const cidr = parseCidr(allowed);
		if (cidr !== null) this.device.allowed.insert(cidr, peer);
		if (knowsWhere) peer.endpoint = other.endpoint;
		return peer;
	}

	/** Seals an inner packet, or stages it and asks for a handshake. */
	send(peer: Peer, packet: Uint8Array): void {
		const session = peer.sessionToSend(this.now);
		if (session === null) {
			if (packet.length > 0) this.staged.set(peer, [...(this.staged.get(peer) ?? []), packet]);
			return;
		}
		this.arena.set(packet, 16);
		const length = this.device.seal(peer, session, 0, packet.length, this.now);
		const bytes = this.arena.slice(0, length);
		if (peer.route !== "relay" && peer.endpoint !== null) this.outbox.push({ to: peer.endpoint, bytes });
		else this.outbox.push({ to: peer.publicKey, bytes });
	}

	/** @returns what `open` gave for data, 1 for a handshake message that was queued, -100 for one that was not. */
	take(bytes: Uint8Array, origin: Origin): number {
		if (kindOf(bytes) !== "transport") {
			const queued = this.device.receive(Uint8Array.from(bytes), origin, this.now);
			this.device.work(1, this.now);
			return queued ? 1 : -100;
		}
		this.arena.set(bytes, 4096);
		const length = this.device.open(4096, bytes.length, origin, this.now);
		if (length > 0) this.delivered.push(this.arena.slice(4096 + 16, 4096 + 16 + length));
		return length;
	}

	/** Moves time on, with the timers of this machine and of `others`, carrying what they send between them. */
	static async run(clock: VirtualClock, ms: number, machines: readonly TestMachine[]): Promise<void> {
		const end = clock.monotonic() + ms;
		exchange(machines);
		for (;;) {
			const due = Math.min(...machines.map((each) => each.device.deadline()));
			if (due > end) break;
			await clock.advance(Math.max(0, due - clock.monotonic()));
			for (const each of machines) each.device.tick(clock.monotonic());
			exchange(machines);
		}
		await clock.advance(end - clock.monotonic());
	}
}

/** Carries until nobody sends any more. @returns the kinds carried, in order. */
export function exchange(
	machines: readonly TestMachine[],
	filter: (kind: MessageKind, from: TestMachine) => boolean = () => true,
): MessageKind[] {
	const kinds: MessageKind[] = [];
	for (let round = 0; round < 100; round++) {
		let moved = false;
		for (const from of machines)
			for (const { to, bytes } of from.outbox.splice(0)) {
				moved = true;
				const kind = kindOf(bytes);
				kinds.push(kind);
				if (!filter(kind, from)) continue;
				if ("port" in to)
					machines.find((each) => each.endpoint.address === to.address)?.take(bytes, { endpoint: from.endpoint });
				else
					machines
						.find((each) => Buffer.compare(each.device.publicKey, to) === 0)
						?.take(bytes, { relayedBy: from.device.publicKey });
			}
		if (!moved) return kinds;
	}
	throw new Error("the machines never fell silent");
}

/** A v4 packet of protocol 253 (for experiments). */
export function innerPacket(source: string, destination: string, payload = 20): Uint8Array {
	const packet = new Uint8Array(20 + payload);
	const view = new DataView(packet.buffer);
	view.setUint8(0, 0x45);
	view.setUint16(2, packet.length);
	view.setUint8(8, 64);
	view.setUint8(9, 253);
	view.setUint32(12, parseCidr(source)?.words[0] ?? 0);
	view.setUint32(16, parseCidr(destination)?.words[0] ?? 0);
	return packet;
}

export function twoMachines(): {
	clock: VirtualClock;
	a: TestMachine;
	b: TestMachine;
	ab: Peer;
	ba: Peer;
	both: TestMachine[];
} {
	const clock = new VirtualClock();
	const a = new TestMachine(clock, 1);
	const b = new TestMachine(clock, 2);
	const ab = a.addPeer(b, "10.0.0.2/32");
	const ba = b.addPeer(a, "10.0.0.1/32");
	return { clock, a, b, ab, ba, both: [a, b] };
}

export const fromA = innerPacket("10.0.0.1", "10.0.0.2");
export const fromB = innerPacket("10.0.0.2", "10.0.0.1");
