import { HealthTable, silentLogger, systemClock } from "@warren/kernel";
import { faultRelay, noNats, TestNats, VirtualClock } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { busContract } from "../bus.contract.ts";
import { keyValueContract } from "../key-value.contract.ts";
import { contractStream, streamContract } from "../stream.contract.ts";
import { Nats } from "./nats.ts";
import { NatsBus } from "./nats-bus.ts";
import { NatsKeyValue } from "./nats-key-value.ts";
import { NatsStream } from "./nats-stream.ts";

const reason = noNats();
const bytes = (text: string) => new TextEncoder().encode(text);
const deps = { clock: systemClock, logger: silentLogger };

describe.skipIf(reason !== null)("NATS (skipped where nats-server is not installed)", () => {
	let server: TestNats;
	let made = 0;
	const connect = (port = server.port, health = new HealthTable(new VirtualClock())) =>
		Nats.open(
			{ servers: [`127.0.0.1:${port}`], name: "test", prefix: `test${++made}` },
			{ logger: silentLogger, health },
		);
	beforeAll(async () => {
		server = await TestNats.start();
	});
	afterAll(() => server?.[Symbol.asyncDispose]());

	busContract("NATS", async () => {
		const nats = await connect();
		const bus = new NatsBus(nats, silentLogger);
		const close = bus.close.bind(bus);
		bus.close = async () => {
			close();
			await nats.close();
		};
		return bus;
	});

	keyValueContract("JetStream", async () => {
		const nats = await connect();
		const clock = new VirtualClock();
		const keyValue = await NatsKeyValue.open(nats, "kv", { clock, logger: silentLogger });
		return {
			keyValue,
			advance: (ms) => clock.advance(ms),
			close: async () => {
				keyValue.close();
				await nats.close();
			},
		};
	});

	streamContract("JetStream", async () => {
		const nats = await connect();
		const stream = await NatsStream.open(nats, "s", contractStream, deps);
		return {
			stream,
			reopen: async () => {
				await stream.close();
				return NatsStream.open(nats, "s", contractStream, deps);
			},
			// The server waits by its own clock; its next message ends the wait.
			advance: async () => {},
			close: async () => {
				await stream.close();
				await nats.close();
			},
		};
	});

	it("a list ends while its keys are written anew, and has each of them once", async () => {
		const nats = await connect();
		const keyValue = await NatsKeyValue.open(nats, "kv", deps);
		const names = ["n.a", "n.b", "n.c"];
		for (const name of names) await keyValue.put(name, bytes("0"));
		let writing = true;
		const writers = names.map(async (name) => {
			while (writing) await keyValue.put(name, bytes("more"), { ttlMs: 60_000 });
		});
		for (let list = 0; list < 300; list++)
			expect([...new Set((await keyValue.list("n.")).map(({ key }) => key))]).toEqual(names);
		writing = false;
		await Promise.all(writers);
		keyValue.close();
		await nats.close();
	}, 120_000);

	it("a lease of a process that died ends at another's clock, once, and its epoch is never used again", async () => {
		const prefix = `test${++made}`;
		const open = () => Nats.open({ servers: [`127.0.0.1:${server.port}`], name: "t", prefix }, deps);
		const [dead, one, two] = [await open(), await open(), await open()];
		const clocks = [new VirtualClock(), new VirtualClock()] as const;
		const first = await NatsKeyValue.open(dead, "kv", deps);
		const epoch = await first.compareAndSet("lease", bytes("dead"), 0, { ttlMs: 1_000 });
		first.close();
		await dead.close();
		const [a, b] = [
			await NatsKeyValue.open(one, "kv", { clock: clocks[0], logger: silentLogger }),
			await NatsKeyValue.open(two, "kv", { clock: clocks[1], logger: silentLogger }),
		];
		const gone: number[] = [];
		let ended: () => void = () => {};
		const over = new Promise<void>((resolve) => {
			ended = resolve;
		});
		await a.watch("", (change) => {
			if (change.kind !== "delete") return;
			gone.push(change.revision);
			ended();
		});
		expect(await a.compareAndSet("lease", bytes("a"), 0, { ttlMs: 1_000 })).toBeNull();
		await b.get("lease");
		for (const clock of clocks) await clock.advance(1_000);
		await over;
		expect(await a.get("lease")).toBeNull();
		const [won, lost] = await Promise.all([
			a.compareAndSet("lease", bytes("a"), 0),
			b.compareAndSet("lease", bytes("b"), 0),
		]);
		expect([won, lost].filter((each) => each !== null)).toHaveLength(1);
		expect(won ?? lost).toBeGreaterThan(epoch ?? 0);
		expect(await b.compareAndSet("lease", bytes("dead"), epoch ?? 0)).toBeNull();
		expect(gone).toHaveLength(1);
		for (const each of [a, b, one, two]) await each.close();
	});

	it("refuses to begin without a server, saying where", async () => {
		await expect(connect(1)).rejects.toMatchObject({
			code: "store_unreadable",
			message: expect.stringContaining("127.0.0.1:1"),
		});
	});

	it("shows that it is away, comes back by itself, and tells those who may have missed something", async () => {
		await using relay = await faultRelay({ host: "127.0.0.1", port: server.port });
		const clock = new VirtualClock();
		const health = new HealthTable(clock);
		const nats = await connect(relay.port, health);
		const bus = new NatsBus(nats, silentLogger);
		const lost = new Promise<void>((resolve) => void nats.onLost(resolve));
		const resumed = new Promise<void>((resolve) => void bus.onResumed(resolve));
		relay.cut();
		await lost;
		await clock.advance(2_000);
		const shown = health.list().map((each) => each.code);
		await resumed;
		expect(bus.connected).toBe(true);
		expect(shown).toEqual(["bus-away"]);
		expect(health.list()).toEqual([]);
		const heard = new Promise<string>((resolve) =>
			bus.subscribe("again", ({ data }) => resolve(new TextDecoder().decode(data))),
		);
		await bus.settled();
		bus.publish("again", bytes("here"));
		expect(await heard).toBe("here");
		await nats.close();
	});

	it("notices a server that says nothing any more", async () => {
		await using relay = await faultRelay({ host: "127.0.0.1", port: server.port });
		const nats = await connect(relay.port);
		const lost = new Promise<void>((resolve) => void nats.onLost(resolve));
		relay.faults.stalled = true;
		await lost;
		expect(nats.connected).toBe(false);
		const resumed = new Promise<void>((resolve) => void nats.onResumed(resolve));
		relay.faults.stalled = false;
		relay.cut();
		await resumed;
		await nats.close();
	});
});

describe.skipIf(reason !== null)("kill -9 of nats-server (skipped where it is not installed)", () => {
	it("loses no message that was acknowledged, and stores none twice", async () => {
		await using server = await TestNats.start();
		const nats = await Nats.open({ servers: [`127.0.0.1:${server.port}`], name: "t" }, deps);
		const stream = await NatsStream.open(nats, "s", contractStream, deps);
		const keyValue = await NatsKeyValue.open(nats, "kv", deps);
		await keyValue.put("kept", bytes("value"));
		const acknowledged = new Set<number>();
		/** Offers each until it was stored, as whoever must not lose one does. */
		const offer = async (id: number) => {
			for (let attempt = 0; attempt < 20; attempt++) {
				try {
					await stream.append("a", bytes(String(id)), { id: String(id) });
					acknowledged.add(id);
					return;
				} catch (fault) {
					expect((fault as { code?: string }).code).toBe("store_away");
					if (!nats.connected) await new Promise<void>((resolve) => void nats.onResumed(resolve));
				}
			}
		};
		let killed: Promise<void> | undefined;
		for (let id = 0; id < 300; id += 10) {
			const batch = Array.from({ length: 10 }, (_, index) => offer(id + index));
			if (id === 100 || id === 200) killed = server.kill().then(() => server.restart());
			await Promise.all(batch);
			await killed;
		}
		expect(acknowledged.size).toBe(300);
		expect(new TextDecoder().decode((await keyValue.get("kept"))?.value)).toBe("value");
		const got: number[] = [];
		await new Promise<void>((resolve) => {
			void stream.read("r", ({ data }) => {
				got.push(Number(new TextDecoder().decode(data)));
				if (got.length === 300) resolve();
			});
		});
		expect(new Set(got).size).toBe(300);
		await stream.close();
		keyValue.close();
		await nats.close();
	}, 60_000);
});
