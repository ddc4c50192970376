import { HealthTable, silentLogger, systemClock } from "@warren/kernel";
import { loadNats, openPostgresTables, type Schema } from "@warren/store";
import { TestNats, TestPostgres } from "@warren/testkit";

export interface EngineFigures {
	/** Of leases as a backbone writes them, each told to so many nodes. */
	readonly leasesPerSecond: number;
	/** Rows that are on disk, each in a transaction of its own. */
	readonly commitsPerSecond: number;
}

/** What an agent's lease is, beside its key. */
const leaseBytes = 250;
const leaseMs = 60_000;
/** Writes on their way at once: many agents come due in the same moment. */
const atOnce = 64;
const connections = 10;

/** The engines alone: what the other figures cannot exceed, however many instances there are. */
export async function measureEngines(nodes: number, forMs: number): Promise<EngineFigures> {
	return { leasesPerSecond: await leases(nodes, forMs), commitsPerSecond: await commits(forMs) };
}

async function leases(nodes: number, forMs: number): Promise<number> {
	await using server = await TestNats.start();
	const deps = { clock: systemClock, logger: silentLogger };
	const opened = await Promise.all(
		Array.from({ length: nodes }, async (_each, index) => {
			const options = { servers: [`127.0.0.1:${server.port}`], name: `node ${index}`, prefix: "scale" };
			const { Nats, NatsKeyValue } = await loadNats();
			const nats = await Nats.open(options, { logger: silentLogger, health: new HealthTable(systemClock) });
			return { nats, leases: await NatsKeyValue.open(nats, "leases", deps) };
		}),
	);
	const value = new Uint8Array(leaseBytes);
	let written = 0;
	const until = performance.now() + forMs;
	await Promise.all(
		Array.from({ length: atOnce }, async (_each, writer) => {
			const { leases: own } = opened[writer % nodes] as (typeof opened)[number];
			for (; performance.now() < until; written++)
				await own.put(`agents.web.${written % 10_000}`, value, { ttlMs: leaseMs });
		}),
	);
	for (const { nats, leases: own } of opened) {
		own.close();
		await nats.close();
	}
	return (written / forMs) * 1000;
}

const rows: Schema = {
	domain: "scale",
	migrations: {
		"001-rows": {
			up: (db) =>
				db.schema
					.createTable("scale_rows")
					.addColumn("id", "bigint", (column) => column.primaryKey())
					.addColumn("value", "text")
					.execute(),
		},
	},
};

async function commits(forMs: number): Promise<number> {
	using server = new TestPostgres({ durable: true });
	const where = {
		host: server.host,
		user: server.user,
		database: server.createDatabase(),
		maxConnections: connections,
	};
	const tables = await openPostgresTables<{ scale_rows: { id: number; value: string } }>(where, [rows]);
	let written = 0;
	const until = performance.now() + forMs;
	await Promise.all(
		Array.from({ length: connections }, async () => {
			while (performance.now() < until) {
				const id = ++written;
				await tables.db
					.insertInto("scale_rows")
					.values({ id, value: "x".repeat(leaseBytes) })
					.execute();
			}
		}),
	);
	await tables.close();
	return (written / forMs) * 1000;
}
