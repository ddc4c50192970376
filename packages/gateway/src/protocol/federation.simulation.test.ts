import type { OutboxEntry } from "@warren/kernel";
import { SeededRandom } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { ClientMachine } from "./client-machine.ts";
import type { SocketId } from "./server-effects.ts";
import { type Hearer, SimulatedGateway } from "./simulated-gateway.testing.ts";

/**
 * Meshes that send while connections break, the gateway is killed and its disk is full, against a plain model: per pair of
 * meshes what is kept is a prefix-ordered list without repeats, and everything that was reported as delivered or queued
 * has arrived once all is well again.
 */

const rooms = ["red", "green", "blue"];

interface Packet {
	readonly from: string;
	readonly to: string | null;
	readonly room: string | null;
	readonly n: number;
}

/** A node of ours: an outbox and an inbox on disk, a link in memory. */
class SimulatedMesh implements Hearer {
	readonly meshId: string;
	readonly #gateway: SimulatedGateway;
	readonly #machine: ClientMachine;
	readonly interest: readonly string[];
	#socket: SocketId | null = null;
	/** On disk. */
	outbox: OutboxEntry[] = [];
	readonly outcomes = new Map<string, string>();
	readonly kept: Packet[] = [];
	readonly #seen = new Set<string>();
	repeats = 0;
	#next = 1;
	/** What is under way in the network. */
	readonly #toGateway: string[] = [];
	readonly #toMesh: string[] = [];

	constructor(gateway: SimulatedGateway, meshId: string, interest: readonly string[]) {
		this.#gateway = gateway;
		this.meshId = meshId;
		this.interest = interest;
		gateway.secrets.set(meshId, meshId);
		this.#machine = new ClientMachine({
			...{ meshId, secret: meshId, host: "gateway.example" },
			key: { publicKey: `key of ${meshId}`, sign: (text) => `signed ${text}` },
			// Some by secret, some by key.
			login: meshId.length % 2 === 0 ? "key" : "secret",
		});
	}

	get isConnected(): boolean {
		return this.#socket !== null;
	}

	get idle(): boolean {
		return this.#machine.isIn && this.#toGateway.length === 0 && this.#toMesh.length === 0 && this.outbox.length === 0;
	}

	write(to: string | null, room: string | null): void {
		const seq = this.#next++;
		const payload = { from: this.meshId, to, room, n: seq };
		this.outbox.push({ seq, id: `${this.meshId}-${seq}`, targetMeshId: to, room, payload });
		this.#machine.wake(this.#gateway.now);
		this.perform();
	}

	connect(): void {
		if (this.#socket !== null) return;
		this.#socket = this.#gateway.connect(this);
		this.#machine.opened(
			{ publicRooms: [], participants: [], interest: this.interest, access: { allow: null, block: [] } },
			this.#gateway.now,
		);
		this.perform();
	}

	cut(): void {
		if (this.#socket !== null) this.#gateway.cut(this.#socket);
	}

	hear(text: string): void {
		this.#toMesh.push(text);
	}

	end(code: number, reason: string): void {
		this.#socket = null;
		this.#toGateway.length = 0;
		this.#toMesh.length = 0;
		this.#machine.closed(code, reason);
		this.#machine.drain();
	}

	/** Lets some of what is under way arrive. */
	move(random: SeededRandom): void {
		for (let count = random.integer(6); count > 0; count -= 1) {
			const down = this.#toMesh.shift();
			if (down !== undefined) {
				this.#machine.receive(down, this.#gateway.now);
				this.perform();
			}
			const up = this.#toGateway.shift();
			if (up !== undefined && this.#socket !== null) this.#gateway.say(this.#socket, up);
		}
		const due = this.#machine.deadline();
		if (due !== null && due <= this.#gateway.now) {
			this.#machine.tick(this.#gateway.now);
			this.perform();
		}
	}

	perform(): void {
		for (let effects = this.#machine.drain(); effects.length > 0; effects = this.#machine.drain()) {
			for (const effect of effects) {
				if (effect.kind === "send") this.#toGateway.push(effect.text);
				else if (effect.kind === "close") this.cut();
				else if (effect.kind === "settle") {
					const entry = this.outbox.find((each) => each.seq === effect.seq);
					if (entry !== undefined) this.outcomes.set(entry.id, effect.outcome.outcome);
					this.outbox = this.outbox.filter((each) => each.seq !== effect.seq);
				} else if (effect.kind === "pull") {
					const entries = this.outbox.filter((each) => each.seq > effect.after).slice(0, effect.limit);
					this.#machine.offer(entries, this.#gateway.now);
				} else if (effect.kind === "keep") {
					const { fromMeshId, id, payload } = effect.message;
					const key = `${fromMeshId}/${id}`;
					if (this.#seen.has(key)) this.repeats += 1;
					else this.kept.push(payload as unknown as Packet);
					this.#seen.add(key);
					this.#machine.kept();
				}
			}
			this.#machine.acknowledge();
		}
	}
}

function simulate(seed: number, size: number, steps: number) {
	const random = new SeededRandom(seed);
	const gateway = new SimulatedGateway({
		messagesPerMinute: 600,
		maxInflight: 8,
		loadBatch: 3,
		maxQueuedMessages: 10_000,
		maxQueueShare: 1,
	});
	const meshes = Array.from({ length: size }, (_, index) => {
		const interest = rooms.filter(() => random.fraction() < 0.4);
		return new SimulatedMesh(gateway, `m${index}`, interest);
	});
	const sent: Packet[] = [];
	// Each is known to the gateway, with a queue, before anything is sent to it.
	for (const mesh of meshes) mesh.connect();
	for (let round = 0; round < 40; round += 1) for (const mesh of meshes) mesh.move(random);
	for (let step = 0; step < steps; step += 1) {
		const mesh = random.pick(meshes);
		const chance = random.fraction();
		if (chance < 0.25) {
			const room = random.fraction() < 0.3 ? random.pick(rooms) : null;
			const to = room === null ? random.pick(meshes).meshId : null;
			if (to !== mesh.meshId) {
				mesh.write(to, room);
				sent.push({ from: mesh.meshId, to, room, n: mesh.outbox.at(-1)?.seq ?? 0 });
			}
		} else if (chance < 0.3) mesh.cut();
		else if (chance < 0.45) mesh.connect();
		else if (chance < 0.451) gateway.crash();
		else if (chance < 0.46) gateway.diskFull = !gateway.diskFull;
		else if (chance < 0.6) gateway.advance(random.integer(400));
		mesh.move(random);
		random.pick(meshes).move(random);
	}
	gateway.diskFull = false;
	for (let round = 0; round < 4000; round += 1) {
		gateway.advance(250);
		for (const mesh of meshes) {
			mesh.connect();
			mesh.move(random);
		}
		if (meshes.every((mesh) => mesh.idle) && gateway.machine.queued === 0) break;
	}
	return { meshes, gateway, sent };
}

function verify(seed: number, size: number, steps: number): { sent: number; kept: number; repeats: number } {
	const { meshes, gateway, sent } = simulate(seed, size, steps);
	const where = `seed ${seed}`;
	expect(
		meshes.filter((mesh) => !mesh.idle).map((mesh) => mesh.meshId),
		where,
	).toEqual([]);
	expect(gateway.machine.queued, where).toBe(0);
	const byId = new Map(meshes.map((mesh) => [mesh.meshId, mesh]));
	for (const mesh of meshes) {
		const expected = sent.filter((packet) => {
			if (packet.from === mesh.meshId) return false;
			if (packet.to !== null ? packet.to !== mesh.meshId : !mesh.interest.includes(packet.room as string)) return false;
			return byId.get(packet.from)?.outcomes.get(`${packet.from}-${packet.n}`) !== "offline";
		});
		const byPair = (packets: readonly Packet[]) => {
			const lists: Record<string, number[]> = {};
			for (const packet of packets) (lists[packet.from] ??= []).push(packet.n);
			return lists;
		};
		expect(byPair(mesh.kept), `${where}, ${mesh.meshId}`).toEqual(byPair(expected));
	}
	const kept = meshes.reduce((sum, mesh) => sum + mesh.kept.length, 0);
	return { sent: sent.length, kept, repeats: meshes.reduce((sum, mesh) => sum + mesh.repeats, 0) };
}

describe("federation under partitions, kills and a full disk", () => {
	it.each([1, 2, 3, 4, 5, 6, 7, 8])("G10 G11 G13 C2 C3 exactly once and in order, 12 meshes, seed %i", (seed) => {
		const { sent, kept } = verify(seed, 12, 4000);
		expect(sent).toBeGreaterThan(500);
		expect(kept).toBeGreaterThan(500);
	});

	// Half a minute of work on one core of its own.
	it("the same with 200 meshes", { timeout: 300_000 }, () => {
		const { kept, repeats } = verify(99, 200, 20_000);
		expect(kept).toBeGreaterThan(3000);
		// Repeats do come on the wire after a kill; nobody keeps one.
		expect(repeats).toBeGreaterThan(0);
	});
});
