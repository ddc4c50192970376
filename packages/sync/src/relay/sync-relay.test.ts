import { closeCodes, type Identity, silentLogger, type UserId } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { syncLogSchema } from "../log/schema.ts";
import { SqliteUpdateLog } from "../log/sqlite-update-log.ts";
import type { UpdateLog } from "../log/update-log.ts";
import { encodeMuxMessage, encodeMuxOpen, encodeStep1, syncLimits } from "../protocol/index.ts";
import { SimulatedClient, SimulatedNetwork } from "../simulated-network.testing.ts";
import { Documents } from "../worker/documents.ts";
import { serveMux } from "./document-mux.ts";
import { FlushWindow } from "./flush-window.ts";
import { Outgoing } from "./outgoing.ts";
import { PreparedSyncs } from "./prepared-syncs.ts";
import { RecentUpdates } from "./recent-updates.ts";
import { relayLimits } from "./relay-limits.ts";
import { slowReader } from "./slow-reader.testing.ts";
import { SyncRelay } from "./sync-relay.ts";
import { TailTree } from "./tail-tree.ts";

const who = { owner: "user:a", access: "read-write", acknowledges: false, maxClients: 1 } as const;

async function openRelay(wrap: (log: UpdateLog) => UpdateLog = (log) => log) {
	const clock = new VirtualClock();
	const tables = await openSqliteTables(":memory:", [syncLogSchema]);
	const log = wrap(new SqliteUpdateLog(tables.statements, clock));
	const relay = new SyncRelay({ log, documents: new Documents(clock), clock, logger: silentLogger });
	const close = async () => {
		await relay.documents.close();
		await tables.close();
	};
	return { clock, relay, log, [Symbol.asyncDispose]: close };
}

const largeBytes = 6 * 1024 * 1024;

function edited(value: unknown): Uint8Array {
	const doc = new Y.Doc();
	doc.getMap("m").set("value", value);
	return Y.encodeStateAsUpdate(doc);
}

function largeDocument(): Uint8Array {
	return edited(new Uint8Array(largeBytes));
}

async function turns(): Promise<void> {
	for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

async function until(holds: () => boolean): Promise<void> {
	while (!holds()) await new Promise(setImmediate);
}

describe("a relay", () => {
	it("sends a socket away once its session is over, to come back or to be told to sign in", async () => {
		await using made = await openRelay();
		const network = new SimulatedNetwork(new SeededRandom(1));
		const [near, far] = network.connect();
		const identity: Identity = {
			kind: "user",
			userId: "alice" as UserId,
			name: "alice",
			admin: false,
			expiresAt: made.clock.now() + 100_000,
		};
		const codes: number[] = [];
		const { close } = far;
		far.close = (...values: unknown[]) => {
			codes.push(values[0] as number);
			close.call(far);
		};
		made.relay.join(await made.relay.open("notes"), far, who, identity);
		new SimulatedClient(1).connect(near);
		network.deliverOne();
		await made.clock.advance(99_000);
		expect(codes).toEqual([]);
		await made.clock.advance(relayLimits.expiryCheckMs);
		expect(codes).toEqual([closeCodes.unavailable]);
	});

	it("closes who reads nothing for 30 s, not who reads slowly (S9)", async () => {
		await using made = await openRelay();
		const { reader, socket } = slowReader();
		const { relay, clock } = made;
		await relay.insert("notes", largeDocument(), "user:a");
		relay.join(await relay.open("notes"), socket, who, null);
		reader.says(encodeStep1(new Uint8Array([0])));
		await until(() => socket.isBlocked);
		await relay.insert("notes", edited("while it reads"), "user:a");
		for (let part = 0; part < 3; part++) {
			await clock.advance(syncLimits.stalledMs - 1_000);
			reader.read();
			expect(socket.isBlocked).toBe(true);
		}
		expect(reader.closes).toEqual([]);
		await clock.advance(2 * syncLimits.stalledMs);
		expect(reader.closes).toEqual([closeCodes.tooSlow]);
	});

	it("plans no first sync for who has not read the last one, however often they ask, on however many channels (S9, S19)", async () => {
		let planned = 0;
		await using made = await openRelay(
			(log) =>
				new Proxy(log, {
					get(target, name) {
						const method = Reflect.get(target, name) as (...values: unknown[]) => unknown;
						return (...values: unknown[]) => {
							if (name === "head") planned += 1;
							return Reflect.apply(method, target, values);
						};
					},
				}),
		);
		const { relay } = made;
		const { reader, socket } = slowReader();
		const rooms = ["one", "two", "three"];
		for (const room of rooms) await relay.insert(room, largeDocument(), "user:a");
		serveMux(socket, made.clock, async (id) => {
			const room = await relay.open(id);
			return (channel) => void relay.join(room, channel, who, null);
		});
		rooms.forEach((room, index) => reader.says(encodeMuxOpen(index + 1, room)));
		await turns();
		planned = 0;
		for (let time = 0; time < 10; time++)
			rooms.forEach((_, index) => reader.says(encodeMuxMessage(index + 1, encodeStep1(new Uint8Array([0])))));
		await turns();
		expect(planned).toBe(1);
		while (reader.bufferedBytes > 0) {
			reader.read();
			await turns();
		}
		// Each document, and once more the first: it had been asked for again.
		expect(planned).toBeLessThanOrEqual(rooms.length + 1);
		expect(reader.taken).toBeGreaterThan(rooms.length * largeBytes);
	});

	it("gives a joiner everything, though a compaction ends while its first sync is planned", async () => {
		let duringRead: (() => Promise<void>) | undefined;
		await using made = await openRelay(
			(log) =>
				new Proxy(log, {
					get(target, name) {
						const method = Reflect.get(target, name) as (...values: unknown[]) => unknown;
						return async (...values: unknown[]) => {
							const act = name === "read" ? duringRead : undefined;
							if (act !== undefined) duringRead = undefined;
							await act?.();
							return Reflect.apply(method, target, values);
						};
					},
				}),
		);
		const doc = new Y.Doc();
		const updates: Uint8Array[] = [];
		doc.on("update", (update: Uint8Array) => updates.push(update));
		for (let i = 0; i < 20; i++) doc.getArray("l").push([i]);
		await made.log.append([{ room: "notes", updates: updates.map((update) => ({ update, owner: "user:a" })) }]);
		const room = await made.relay.open("notes");
		const network = new SimulatedNetwork(new SeededRandom(1));
		const client = new SimulatedClient(99);
		const [near, far] = network.connect();
		made.relay.join(room, far, who, null);
		const compacted = new Promise<void>((resolve) => {
			duringRead = () => made.relay.compactor.compact(room).then(resolve);
		});
		client.connect(near);
		while (network.deliverOne());
		await compacted;
		for (let round = 0; round < 20; round++) {
			await made.clock.advance(5);
			while (network.deliverOne());
		}
		expect((await made.log.head("notes")).snapshot?.upto).toBe(20);
		expect(client.doc.getArray("l").length).toBe(20);
	});
});

describe("the parts of a relay", () => {
	it("flush at once after an idle moment, and wait within bounds under load (S4)", () => {
		const window = new FlushWindow();
		expect(window.delayMs(0)).toBe(0);
		window.flushed(100, 100.01);
		expect(window.delayMs(101)).toBeCloseTo(100.01 + relayLimits.minWindowMs - 101);
		expect(window.delayMs(400)).toBe(0);
	});

	it("wait longer the longer the load lasts, as far as a flush costs, and start again after an idle moment (S4)", () => {
		const window = new FlushWindow();
		let now = 0;
		const flush = (costMs: number) => {
			const delayMs = window.delayMs(now);
			window.flushed(now + delayMs, now + delayMs + costMs);
			now += delayMs + costMs;
			return delayMs;
		};
		const delays = Array.from({ length: 20 }, () => flush(2));
		expect(delays.slice(0, 3)).toEqual([0, 5, 7.5]);
		expect(delays.at(-1)).toBe(relayLimits.maxDelayMs - 4);
		now += 1_000;
		expect(flush(2)).toBe(0);
		expect(flush(2)).toBe(relayLimits.minWindowMs);
		for (let i = 0; i < 20; i++) flush(0.5);
		expect(flush(0.5)).toBe(15);
	});

	it("keep the last reader's wait within its bound, unless flushes alone take half of it (S4)", () => {
		const { minWindowMs, maxDelayMs } = relayLimits;
		const window = new FlushWindow();
		for (const costMs of [0.1, 1, 8, 10, 15, 60]) {
			for (let i = 0; i < 20; i++) {
				window.delayMs(0);
				window.flushed(-costMs, 0);
				const delayMs = window.delayMs(0);
				expect(delayMs).toBeGreaterThanOrEqual(minWindowMs);
				expect(delayMs + 2 * costMs).toBeLessThanOrEqual(Math.max(maxDelayMs, 2 * costMs + maxDelayMs / 2));
			}
		}
	});

	it("give a sender the others' updates out of the frames that stand, in order (S6)", () => {
		const messages = Array.from({ length: 6 }, (_, index) => new Uint8Array(index === 3 ? 300 : 10).fill(index));
		const everything = new Outgoing(messages);
		for (let mask = 0; mask < 2 ** messages.length; mask++) {
			const isOwn = (index: number) => (mask & (1 << index)) !== 0;
			const others = messages.filter((_, index) => !isOwn(index));
			const rest = everything.without(isOwn);
			expect(rest?.messages ?? []).toEqual(others);
			expect(Buffer.concat(rest?.frames() ?? [])).toEqual(Buffer.concat(new Outgoing(others).frames()));
		}
		const large = new Outgoing([new Uint8Array(10), new Uint8Array(relayLimits.fragmentBytes + 1), new Uint8Array(20)]);
		const rest = large.without((index) => index === 0);
		expect(rest?.bytes).toBe(relayLimits.fragmentBytes + 21);
		expect(rest?.frames()).toEqual(new Outgoing(large.messages.slice(1)).frames());
	});

	it("merge a tail as a tree, to what Yjs makes of it", () => {
		const doc = new Y.Doc();
		const tail = new TailTree();
		expect(tail.isEmpty).toBe(true);
		doc.on("update", (update: Uint8Array) => tail.add(update));
		for (let i = 0; i < 1_000; i++) doc.getText("t").insert(i % 7, `${i}`);
		const other = new Y.Doc();
		Y.applyUpdate(other, tail.merged());
		expect(other.getText("t").toJSON()).toBe(doc.getText("t").toJSON());
	});

	it("merge no further what is long: all of it, in order, and nothing twice", () => {
		const doc = new Y.Doc();
		const tail = new TailTree();
		doc.on("update", (update: Uint8Array) => tail.add(update));
		for (let i = 0; i < 100; i++) doc.getText("t").insert(0, `${i}`);
		expect([tail.isLong, tail.parts.length]).toEqual([false, 1 + (100 % 64)]);
		doc.getMap("m").set("large", new Uint8Array(relayLimits.mergedTailBytes));
		for (let i = 0; i < 500; i++) doc.getText("t").insert(0, `${i}`);
		expect([tail.isLong, tail.parts.length]).toEqual([true, 1 + (100 % 64) + 501]);
		const other = new Y.Doc();
		for (const part of tail.parts) Y.applyUpdate(other, part);
		expect(other.getText("t").toJSON()).toBe(doc.getText("t").toJSON());
		expect(other.store.pendingStructs).toBeNull();
	});

	it("keep recent updates within their bytes, and say when they are gone", () => {
		const recent = new RecentUpdates(25);
		for (let seq = 1; seq <= 5; seq++) recent.add([{ seq, update: new Uint8Array(10), socket: 1 }]);
		expect(recent.after(3)?.map((each) => each.seq)).toEqual([4, 5]);
		expect(recent.after(5)).toEqual([]);
		expect(recent.after(2)).toBeNull();
	});

	it("prepare each first sync once, and forget the least used above their limit", async () => {
		const prepared = new PreparedSyncs(250);
		let made = 0;
		const make = async () => {
			made += 1;
			return new Outgoing([new Uint8Array(100)]);
		};
		await Promise.all([prepared.get("a\n1", make), prepared.get("a\n1", make)]);
		expect(made).toBe(1);
		await prepared.get("b\n1", make);
		await prepared.get("a\n1", make);
		await prepared.get("c\n1", make);
		expect(prepared.has("b\n1")).toBe(false);
		expect(prepared.has("a\n1")).toBe(true);
		expect(prepared.bytes).toBe(200);
		prepared.forget("a");
		expect(prepared.has("a\n1")).toBe(false);
	});
});
