import { silentLogger } from "@warren/kernel";
import { openSqliteTables, type SqliteTables } from "@warren/store";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { DocumentHistory } from "./documents/history.ts";
import { syncLogSchema } from "./log/schema.ts";
import { SqliteUpdateLog } from "./log/sqlite-update-log.ts";
import type { UpdateLog } from "./log/update-log.ts";
import type { MemberOptions } from "./protocol/index.ts";
import { SyncRelay } from "./relay/sync-relay.ts";
import { SimulatedClient, SimulatedNetwork, type SimulatedSocket } from "./simulated-network.testing.ts";
import { Documents } from "./worker/documents.ts";

const member: MemberOptions = { owner: "user:a", access: "read-write", acknowledges: false, maxClients: 64 };

/** A hub or sidecar whose process can die: what its log has is all that it keeps. */
class Relay {
	readonly #clock: VirtualClock;
	readonly #tables: SqliteTables<unknown>;
	relay: SyncRelay;
	#life = { over: false };

	constructor(clock: VirtualClock, tables: SqliteTables<unknown>) {
		this.#clock = clock;
		this.#tables = tables;
		this.relay = this.#start();
	}

	async join(socket: SimulatedSocket): Promise<void> {
		const room = await this.relay.open("doc");
		this.relay.join(room, socket, member, null);
	}

	/** Sockets are cut, what waits for its commit is gone. */
	crash(): void {
		const dying = this.relay;
		this.#life.over = true;
		dying.disconnect(() => true, 1006, "", "");
		void dying.documents.close();
		this.relay = this.#start();
	}

	async compact(): Promise<void> {
		await this.relay.compactor.compact(await this.relay.open("doc"));
	}

	hash(): Promise<string> {
		return new DocumentHistory(this.relay, () => this.#clock.now()).hash("doc");
	}

	async close(): Promise<void> {
		// Not `relay.close()`: it spreads its closes over time, which nobody moves on any more.
		await this.relay.documents.close();
		await this.#tables.close();
	}

	#start(): SyncRelay {
		const life = { over: false };
		this.#life = life;
		const log = mortal(new SqliteUpdateLog(this.#tables.statements, this.#clock), life);
		return new SyncRelay({ log, documents: new Documents(this.#clock), clock: this.#clock, logger: silentLogger });
	}
}

/** A dead process writes nothing: its calls have no answer. */
function mortal(log: UpdateLog, life: { readonly over: boolean }): UpdateLog {
	return new Proxy(log, {
		get(target, name) {
			const method = Reflect.get(target, name) as (...values: unknown[]) => unknown;
			return (...values: unknown[]) => (life.over ? new Promise(() => {}) : Reflect.apply(method, target, values));
		},
	});
}

async function simulate(seed: number): Promise<void> {
	const random = new SeededRandom(seed);
	const clock = new VirtualClock();
	const network = new SimulatedNetwork(random);
	const open = async () => new Relay(clock, await openSqliteTables(":memory:", [syncLogSchema]));
	const hub = await open();
	const sidecars = [await open(), await open()];
	const links: (SimulatedSocket | undefined)[] = sidecars.map(() => undefined);
	const relays = [hub, ...sidecars];
	const clients = Array.from({ length: 6 }, (_, index) => new SimulatedClient(index + 1));

	const connectClient = async (index: number) => {
		const [near, far] = network.connect();
		await (relays[index % relays.length] as Relay).join(far);
		(clients[index] as SimulatedClient).connect(near);
	};
	const link = async (index: number) => {
		const [near, far] = network.connect();
		await hub.join(far);
		await (sidecars[index] as Relay).join(near);
		links[index] = near;
	};

	for (let step = 0; step < 400; step++) {
		const client = random.integer(clients.length);
		const action = random.fraction();
		if (action < 0.45) (clients[client] as SimulatedClient).edit(random);
		else if (action < 0.5) (clients[client] as SimulatedClient).disconnect();
		else if (action < 0.6) {
			if (!(clients[client] as SimulatedClient).connected) await connectClient(client);
		} else if (action < 0.64) links[random.integer(links.length)]?.close();
		else if (action < 0.68) {
			const index = random.integer(links.length);
			if (links[index]?.open !== true) await link(index);
		} else if (action < 0.69) random.pick(relays).crash();
		else if (action < 0.7) await random.pick(relays).compact();
		else for (let i = random.integer(6); i > 0; i--) network.deliverOne();
		if (step % 5 === 0) await clock.advance(random.integer(40));
	}

	for (const [index, each] of links.entries()) if (each?.open !== true) await link(index);
	for (const [index, each] of clients.entries()) if (!each.connected) await connectClient(index);
	let quiet = 0;
	for (let round = 0; quiet < 5 && round < 2_000; round++) {
		let delivered = 0;
		while (delivered < 10_000 && network.deliverOne()) delivered += 1;
		expect(delivered, `seed ${seed} never comes to rest`).toBeLessThan(10_000);
		await clock.advance(50);
		quiet = delivered > 0 ? 0 : quiet + 1;
	}
	expect(quiet, `seed ${seed} never comes to rest`).toBe(5);

	const [first, ...others] = clients.map((each) => each.content());
	for (const other of others) expect(other, `seed ${seed}`).toEqual(first);
	const [hubHash, ...hashes] = await Promise.all(relays.map((each) => each.hash()));
	for (const hash of hashes) expect(hash, `seed ${seed}`).toBe(hubHash);
	for (const each of relays) await each.close();
}

describe("hub, two sidecars and six clients, with partitions, crashes and compaction in between", () => {
	const seeds = [1, 2, 3, 4, 5, 6, 7, 8, Math.floor(Math.random() * 1e9)];
	it.each(seeds)("come to one state (seed %i)", (seed) => simulate(seed));
});
