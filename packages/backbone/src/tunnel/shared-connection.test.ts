import { Duplex, duplexPair } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	firstWindowBytes,
	LaneRecord,
	laneLimits,
	maxWindowBytes,
	recordBytes,
	writeRecord,
} from "../protocol/lanes.ts";
import type { Lane, LaneUser } from "./lane.ts";
import { SharedConnection } from "./shared-connection.ts";
import { WindowBudget } from "./window-budget.ts";

/** What one side of a lane heard. */
class Heard implements LaneUser {
	readonly lane: Lane;
	readonly pieces: Buffer[] = [];
	bytes = 0;
	rooms = 0;
	gone: string | null = null;
	/** It stands after each piece. */
	stands = false;
	constructor(lane: Lane) {
		this.lane = lane;
		lane.user = this;
	}
	onBytes(piece: Buffer): void {
		this.pieces.push(Buffer.from(piece));
		this.bytes += piece.length;
		if (this.stands) this.lane.pause();
	}
	onRoom(): void {
		this.rooms += 1;
	}
	onGone(reason: string): void {
		this.gone = reason;
	}
	get text(): string {
		return Buffer.concat(this.pieces).toString("latin1");
	}
}

const mebibyte = 1024 * 1024;
const roomy = () => new WindowBudget(laneLimits.extra.mostBytes);
const grownBy = ({ agent }: Pair) => agent.windows.bytes - agent.windows.left;

/** A server's and an agent's end of one connection. */
class Pair {
	readonly server: SharedConnection;
	readonly agent: SharedConnection;
	readonly atAgent: Heard[] = [];
	readonly closed: string[] = [];
	readonly toAgent: Duplex;

	/** @param windows of the agent's end. */
	constructor(windows = roomy()) {
		const [near, far] = duplexPair();
		this.toAgent = near;
		const onClosed = (shared: SharedConnection, reason: string) =>
			void this.closed.push(`${shared === this.server ? "server" : "agent"}: ${reason}`);
		this.server = new SharedConnection(near, { onClosed }, () => 0, roomy());
		const onLane = (lane: Lane) => void this.atAgent.push(new Heard(lane));
		this.agent = new SharedConnection(far, { onLane, onClosed }, () => 0, windows);
	}

	/** One more lane, seen from both ends. */
	async lane(): Promise<readonly [Heard, Heard]> {
		const lane = this.server.openLane();
		if (lane === null) throw new Error("no lane");
		const near = new Heard(lane);
		await settled();
		return [near, this.atAgent.at(-1) as Heard];
	}
}

/** What was said has arrived, and been answered. */
async function settled(): Promise<void> {
	for (let turn = 0; turn < 40; turn++) await new Promise(setImmediate);
}

describe("a shared connection", () => {
	it("M1: carries each lane's bytes to the other end of the same lane, both ways", async () => {
		const pair = new Pair();
		const [own] = await pair.lane();
		const [near, far] = await pair.lane();
		near.lane.write(Buffer.from("to the agent"));
		far.lane.write(Buffer.from("to the server"));
		await settled();
		expect([near.text, far.text, own.text]).toEqual(["to the server", "to the agent", ""]);
	});

	it("M2: what many lanes say in one turn goes out in one write", async () => {
		const pair = new Pair();
		const lanes: Heard[] = [];
		for (let each = 0; each < 20; each++) lanes.push((await pair.lane())[0]);
		let writes = 0;
		const write = pair.toAgent.write.bind(pair.toAgent);
		pair.toAgent.write = ((chunk: Buffer) => {
			writes += 1;
			return write(chunk);
		}) as typeof write;
		for (const { lane } of lanes) lane.write(Buffer.from(`request ${lane.number}`));
		await settled();
		expect(writes).toBe(1);
		expect(pair.atAgent.map(({ text }) => text)).toEqual(lanes.map(({ lane }) => `request ${lane.number}`));
	});

	it("M4: a reader that stands holds its own lane, within its window, and no other", async () => {
		const pair = new Pair();
		await pair.lane();
		const [slow, stands] = await pair.lane();
		const [quick, reads] = await pair.lane();
		stands.lane.pause();
		let sent = 0;
		while (slow.lane.write(Buffer.alloc(64 * 1024, "s"))) {
			sent += 64 * 1024;
			await settled();
		}
		expect(sent).toBe(firstWindowBytes);
		quick.lane.write(Buffer.from("past it"));
		await settled();
		expect([stands.bytes, reads.text, slow.rooms]).toEqual([0, "past it", 0]);
		stands.lane.resume();
		await settled();
		expect(stands.bytes).toBe(sent + 64 * 1024);
		expect(slow.rooms).toBe(1);
	});

	/** How much is let through to a reader that stands, after bodies of so many bytes that it took; `slow` stands after each piece. */
	async function through(pair: Pair, bodies: readonly number[], slow: boolean): Promise<number> {
		const [near, far] = await pair.lane();
		for (const bytes of bodies) {
			far.stands = slow;
			near.lane.write(Buffer.alloc(bytes));
			for (let turn = 0; turn < 500 && near.lane.writableLength > 0; turn++) {
				await settled();
				far.lane.resume();
			}
			expect(near.lane.writableLength).toBe(0);
		}
		far.lane.pause();
		const before = far.bytes;
		near.lane.write(Buffer.alloc(2 * maxWindowBytes));
		await settled();
		expect(far.bytes).toBe(before);
		return 2 * maxWindowBytes - near.lane.writableLength;
	}

	it("M4: a window grows while the line is what holds it, a step each round trip, to its limit", async () => {
		const { windowBytes } = laneLimits;
		const after = async (trips: number) => {
			const pair = new Pair();
			await pair.lane();
			// Each is one byte more than the window lets through.
			const bodies = Array.from({ length: trips }, (_each, trip) => (windowBytes[trip] ?? maxWindowBytes) + 1);
			return through(pair, bodies, false);
		};
		const within = (bytes: number, window: number) => {
			expect(bytes).toBeLessThanOrEqual(window);
			expect(bytes).toBeGreaterThanOrEqual(window - laneLimits.maxGrantBytes);
		};
		for (const [trips, window] of windowBytes.entries()) within(await after(trips), window);
		within(await after(windowBytes.length), maxWindowBytes);
	});

	it("M4: a reader that is slow itself gets no wider window", async () => {
		const pair = new Pair();
		await pair.lane();
		const bodies = Array.from({ length: 10 }, () => 1024 * 1024);
		expect(await through(pair, bodies, true)).toBeLessThanOrEqual(firstWindowBytes);
	});

	it("M4: a reader that comes to a stand holds what has come, and its window stays as it is", async () => {
		const pair = new Pair();
		await pair.lane();
		const [near, far] = await pair.lane();
		const [first, second] = laneLimits.windowBytes;
		near.lane.write(Buffer.alloc(first + 1));
		await settled();
		far.lane.pause();
		near.lane.write(Buffer.alloc(maxWindowBytes));
		await settled();
		const held = first + 1 + maxWindowBytes - near.lane.writableLength - far.bytes;
		expect(held).toBeLessThanOrEqual(second);
		expect(grownBy(pair)).toBe(second - first);
	});

	describe.each(["by its reader", "by its writer"])("M4: what is known to come, %s,", (whose) => {
		const known = 20 * 1024 * 1024;
		const [first, second] = laneLimits.windowBytes;
		async function expected(bytes: number) {
			const pair = new Pair();
			await pair.lane();
			const [near, far] = await pair.lane();
			if (whose === "by its reader") far.lane.expect(bytes);
			else near.lane.announce(bytes);
			await settled();
			return { near, far, grown: () => grownBy(pair) };
		}

		it("is let through before the writer is held back, and no further while it is not", async () => {
			const { near, far, grown } = await expected(known);
			expect(grown()).toBe(second - first);
			for (let sent = 0; sent < known; sent += first) {
				near.lane.write(Buffer.alloc(first));
				expect(near.lane.writableLength).toBeLessThanOrEqual(first + 1024);
				await settled();
			}
			expect([far.bytes, near.lane.writableLength]).toEqual([known, 0]);
			expect(grown()).toBe(second - first);
		});

		it("is let through to its end once the line has held it back, to a reader that takes it", async () => {
			const { near, far, grown } = await expected(known);
			near.lane.write(Buffer.alloc(known));
			await settled();
			expect([far.bytes, near.lane.writableLength]).toEqual([known, 0]);
			// What was left when the writer had used the first eight.
			expect(grown()).toBeGreaterThan(known - second - 2 * first);
			expect(grown()).toBeLessThan(known - second + first);
		});

		it("gets no further than that before it is read", async () => {
			const { near, far, grown } = await expected(known);
			far.lane.pause();
			near.lane.write(Buffer.alloc(known));
			await settled();
			expect(near.lane.writableLength).toBe(known - second);
			expect(grown()).toBe(second - first);
		});

		it("widens nothing where it fits", async () => {
			const { near, grown } = await expected(2 * first - 1);
			expect(grown()).toBe(0);
			near.lane.write(Buffer.alloc(first));
			expect(near.lane.writableLength).toBeLessThanOrEqual(first + 1024);
		});
	});

	it("M4: a window takes half at most of what is left for its connection", async () => {
		const pair = new Pair();
		await pair.lane();
		const { windowBytes } = laneLimits;
		const [first] = windowBytes;
		let left = pair.agent.windows.bytes;
		for (let lane = 0; lane < 6; lane++) {
			await through(
				pair,
				windowBytes.map((bytes) => bytes + 1),
				false,
			);
			const taken = left - pair.agent.windows.left;
			expect(taken).toBe(Math.min(maxWindowBytes - first, Math.floor(left / 2)));
			left -= taken;
		}
	});

	it("M4: what lanes have grown by is one limit for all connections of a server, and comes back with them", async () => {
		const whole = new WindowBudget(8 * 1024 * 1024);
		const pairs = [new Pair(whole), new Pair(whole)] as const;
		for (const pair of pairs) {
			await pair.lane();
			await through(pair, [firstWindowBytes + 1, 3 * firstWindowBytes], false);
		}
		expect(whole.left).toBeGreaterThan(0);
		expect(whole.left).toBeLessThan(8 * 1024 * 1024 - 2 * firstWindowBytes);
		pairs[0].agent.close("over");
		pairs[1].toAgent.destroy();
		await settled();
		expect(whole.left).toBe(8 * 1024 * 1024);
	});

	it.each([
		{ memory: "512 MiB", memoryBytes: 512 * mebibyte, bytes: 32 * mebibyte },
		{ memory: "8 GiB", memoryBytes: 8192 * mebibyte, bytes: 256 * mebibyte },
		{ memory: "64 GiB", memoryBytes: 65_536 * mebibyte, bytes: 512 * mebibyte },
	])("M4: of $memory the lanes of a process may grow by a part, and a connection's by half of that", (machine) => {
		const windows = WindowBudget.ofProcess(machine.memoryBytes);
		expect([windows.left, windows.half().left]).toEqual([machine.bytes, machine.bytes / 2]);
	});

	it("M4: on any machine a lane may grow by its first step", () => {
		const windows = WindowBudget.ofProcess(0).half();
		const step = laneLimits.windowBytes[1] - firstWindowBytes;
		expect(windows.take(step, 0)).toBe(step);
	});

	it("M5: a lane that ends is gone at both ends, once, and the connection goes on", async () => {
		const pair = new Pair();
		await pair.lane();
		const [near, far] = await pair.lane();
		near.lane.destroy();
		far.lane.write(Buffer.from("on its way"));
		await settled();
		expect([near.gone, far.gone]).toEqual(["the link is closed", "the other side closed the link"]);
		const [next, other] = await pair.lane();
		other.lane.write(Buffer.from("still here"));
		await settled();
		expect([next.text, next.lane.number, pair.closed]).toEqual(["still here", 2, []]);
	});

	it("M5: a connection that retires ends with its last lane; one that is lost ends all of them", async () => {
		const retired = new Pair();
		await retired.lane();
		const [near] = await retired.lane();
		retired.server.retire();
		expect([retired.server.openLane(), retired.server.isOpen]).toEqual([null, true]);
		near.lane.destroy();
		await settled();
		expect(retired.closed[0]).toBe("server: retired");
		const lost = new Pair();
		await lost.lane();
		const [one, other] = await lost.lane();
		lost.toAgent.destroy();
		await settled();
		expect(one.gone).toMatch(/gone/);
		expect(other.gone).not.toBeNull();
	});

	it.each<[string, (pair: Pair) => Buffer, RegExp]>([
		["bytes for a lane that never was", () => record(LaneRecord.bytes, 9, 1, "x"), /never was/],
		["a credit for a lane that never was", () => record(LaneRecord.credit, 9, 1), /never was/],
		["a lane that an agent begins", () => record(LaneRecord.open, 1, 0), /an agent begins/],
		["a record above the limit", () => record(LaneRecord.bytes, 0, laneLimits.maxRecordBytes + 1), /above/],
		[
			"more than was granted",
			() => {
				const piece = record(LaneRecord.bytes, 0, 100_000, "x".repeat(100_000));
				return Buffer.concat([piece, piece, piece]);
			},
			/more than it had granted/,
		],
	])("M3: %s closes it", async (_what, bytes, reason) => {
		const pair = new Pair();
		const [own] = await pair.lane();
		own.lane.pause();
		const [near, far] = duplexPair();
		const closed: string[] = [];
		const server = new SharedConnection(near, { onClosed: (_shared, why) => void closed.push(why) }, () => 0, roomy());
		const lane = server.openLane() as Lane;
		const heard = new Heard(lane);
		lane.pause();
		far.on("error", () => {});
		far.write(bytes(pair));
		await settled();
		expect(closed).toHaveLength(1);
		expect(closed[0]).toMatch(reason);
		expect(heard.gone).toMatch(reason);
	});

	it("M4: credits of nothing for a lane that waits are answered by nothing", async () => {
		const [near, far] = duplexPair();
		const server = new SharedConnection(near, { onClosed: () => {} }, () => 0, roomy());
		const lane = server.openLane() as Lane;
		new Heard(lane);
		lane.write(Buffer.alloc(firstWindowBytes + 1));
		await settled();
		const before = server.pendingBytes;
		for (let each = 0; each < 1000; each++) far.write(record(LaneRecord.credit, 0, 0));
		await settled();
		expect(server.pendingBytes).toBe(before);
		far.write(record(LaneRecord.credit, 0, 1));
		await settled();
		expect(server.pendingBytes, "one that is more than nothing brings what waits").toBe(before + recordBytes + 1);
		server.close("over");
	});

	it("M3: takes any bytes, and closes or goes on", async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), async (pieces) => {
				const [near, far] = duplexPair();
				const closed: string[] = [];
				const agent = new SharedConnection(
					near,
					{ onLane: (lane) => void new Heard(lane), onClosed: (_shared, why) => void closed.push(why) },
					() => 0,
					roomy(),
				);
				far.on("error", () => {});
				for (const piece of pieces) far.write(Buffer.from(piece));
				await settled();
				expect(closed.length).toBe(agent.isOpen ? 0 : 1);
				agent.close("over");
			}),
			{ numRuns: 60 },
		);
	});

	it("M4: in any order of writes, pauses and resumes each lane's bytes arrive whole and in their order", async () => {
		const step = fc.record({
			lane: fc.nat(3),
			what: fc.constantFrom("write", "write", "pause", "resume", "turn"),
			size: fc.integer({ min: 1, max: 300_000 }),
		});
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
				const pair = new Pair();
				const lanes: (readonly [Heard, Heard])[] = [];
				for (let each = 0; each < 4; each++) lanes.push(await pair.lane());
				const sent = lanes.map(() => [] as Buffer[]);
				let fill = 0;
				for (const { lane, what, size } of steps) {
					const [near, far] = lanes[lane] as readonly [Heard, Heard];
					if (what === "write") {
						const bytes = Buffer.alloc(size, ++fill);
						sent[lane]?.push(bytes);
						near.lane.write(bytes);
					} else if (what === "pause") far.lane.pause();
					else if (what === "resume") far.lane.resume();
					else await new Promise(setImmediate);
				}
				for (const [, far] of lanes) far.lane.resume();
				const whole = () => lanes.every(([, far], at) => far.bytes === Buffer.concat(sent[at] ?? []).length);
				for (let round = 0; round < 50 && !whole(); round++) await settled();
				for (const [at, [, far]] of lanes.entries())
					expect(Buffer.concat(far.pieces).equals(Buffer.concat(sent[at] ?? []))).toBe(true);
				expect(pair.closed).toEqual([]);
			}),
			{ numRuns: 25 },
		);
	});
});

function record(type: number, lane: number, value: number, payload = ""): Buffer {
	const bytes = Buffer.alloc(recordBytes + payload.length);
	writeRecord(bytes, 0, type, lane, value);
	bytes.write(payload, recordBytes);
	return bytes;
}
