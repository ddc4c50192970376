import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import {
	type FaultRelay,
	faultRelay,
	freePort,
	type StartedCommand,
	startCommand,
	TestNats,
	TestPostgres,
	tempFolder,
} from "@warren/testkit";
import { Client } from "pg";

/** One instance of a role, as its own process, with its own way to PostgreSQL and to NATS. */
export interface Instance {
	readonly index: number;
	readonly process: StartedCommand;
	readonly port: number;
	/** In plain HTTP. */
	readonly origin: string;
	readonly ready: Readonly<Record<string, unknown>>;
	readonly toDatabase: FaultRelay;
	readonly toNats: FaultRelay;
	/** By which the other instances reach this one; null = as its clients do. */
	readonly fromOthers: FaultRelay | null;
}

export interface ClusterOptions {
	readonly role: string;
	readonly flags: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
	/** What an administrator copies from the first instance's data folder. */
	readonly copied?: readonly string[];
	/** It needs the database alone. */
	readonly withoutNats?: boolean;
	/** Flags by which an instance says where the others reach it. */
	readonly reachedAt?: (port: number) => readonly string[];
	/** How far each instance's clock is off. */
	readonly offMs?: readonly number[];
	/** How far the database's is. */
	readonly databaseOffMs?: number;
}

/** Several instances of a role over one PostgreSQL and one NATS, on loopback. */
export class Cluster implements AsyncDisposable {
	readonly postgres: TestPostgres;
	readonly nats: TestNats;
	readonly instances: Instance[] = [];
	readonly folder = tempFolder("cluster");
	readonly #options: ClusterOptions;
	readonly #database: string;

	private constructor(postgres: TestPostgres, nats: TestNats, options: ClusterOptions) {
		this.postgres = postgres;
		this.nats = nats;
		this.#options = options;
		this.#database = postgres.createDatabase();
	}

	static async start(count: number, options: ClusterOptions): Promise<Cluster> {
		const cluster = new Cluster(new TestPostgres({ port: await freePort() }), await TestNats.start(), options);
		try {
			if (options.databaseOffMs !== undefined) await cluster.#setDatabaseOff(options.databaseOffMs);
			for (let index = 0; index < count; index++) await cluster.add(index);
			return cluster;
		} catch (failure) {
			await cluster[Symbol.asyncDispose]();
			throw failure;
		}
	}

	at(index: number): Instance {
		return this.instances[index] as Instance;
	}

	/** Starts an instance, or starts it again after its end: same data folder, same port. */
	async add(index: number): Promise<Instance> {
		const before = this.instances[index];
		const toDatabase = before?.toDatabase ?? (await faultRelay({ host: "127.0.0.1", port: this.postgres.port }));
		const toNats = before?.toNats ?? (await faultRelay({ host: "127.0.0.1", port: this.nats.port }));
		const home = this.home(index);
		this.#copy(home);
		const port = before?.port ?? (await freePort());
		const { reachedAt, offMs } = this.#options;
		const fromOthers =
			before?.fromOthers ?? (reachedAt === undefined ? null : await faultRelay({ host: "127.0.0.1", port }));
		const where = fromOthers === null ? [] : (reachedAt?.(fromOthers.port) ?? []);
		const process = this.run(home, port, [...this.backends(toDatabase, toNats), ...where], offMs?.[index] ?? 0);
		const ready = await process.line<Readonly<Record<string, unknown>>>();
		const instance = {
			index,
			process,
			port,
			origin: `http://127.0.0.1:${port}`,
			ready,
			toDatabase,
			toNats,
			fromOthers,
		};
		this.instances[index] = instance;
		return instance;
	}

	/** As the database has it. */
	async leadership(role: string): Promise<{ readonly epoch: number; readonly address: string }> {
		const sql = "select epoch, address from store_leadership where role = $1";
		const [row] = await this.#query<{ epoch: string; address: string }>(sql, [role]);
		return { epoch: Number(row?.epoch), address: row?.address ?? "" };
	}

	/** A process of this role, however it ends. */
	run(home: string, port: number, backends: readonly string[], offMs = 0): StartedCommand {
		const { role, flags, env } = this.#options;
		const args = [role, ...flags, "--host", "127.0.0.1", "--port", String(port), "--json", ...backends];
		return startCommand(args, { home, env: { ...env, ...clockOff(offMs) } });
	}

	home(index: number): string {
		return join(this.folder.path, `instance${index}`);
	}

	backends(toDatabase: { readonly port: number }, toNats: { readonly port: number }): string[] {
		const database = `postgres://${this.postgres.user}@127.0.0.1:${toDatabase.port}/${this.#database}`;
		const nats = this.#options.withoutNats === true ? [] : ["--nats", `nats://127.0.0.1:${toNats.port}`];
		return ["--database", database, ...nats];
	}

	async #query<T extends object>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
		const client = new Client({
			...{ host: "127.0.0.1", port: this.postgres.port, user: this.postgres.user, database: this.#database },
		});
		await client.connect();
		try {
			return (await client.query<T>(sql, [...values])).rows;
		} finally {
			await client.end();
		}
	}

	/** Whoever asks this database for the time of day gets another: its functions stand before the engine's own. */
	async #setDatabaseOff(offMs: number): Promise<void> {
		const shifted = (name: string) => `create function off.${name}() returns timestamptz language sql
			as $$ select pg_catalog.${name}() + interval '${offMs} milliseconds' $$;`;
		await this.#query(`create schema off; ${shifted("clock_timestamp")} ${shifted("now")}
			alter database ${this.#database} set search_path = off, pg_catalog, public;`);
	}

	#copy(home: string): void {
		for (const file of this.#options.copied ?? []) {
			const [from, to] = [join(this.home(0), "data", file), join(home, "data", file)];
			if (!existsSync(from) || existsSync(to)) continue;
			mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
			copyFileSync(from, to);
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const { process, toDatabase, toNats, fromOthers } of this.instances) {
			// What waits for a backend that a test has stopped must not make its end wait.
			await process.kill("SIGKILL");
			await toDatabase.close();
			await toNats.close();
			await fromOthers?.close();
		}
		await this.nats[Symbol.asyncDispose]();
		this.postgres[Symbol.dispose]();
		this.folder[Symbol.dispose]();
	}
}

/** Three hubs, or so many, behind whatever these flags say. */
export function startHubs(count = 3, flags: readonly string[] = [], more: Partial<ClusterOptions> = {}) {
	return Cluster.start(count, { role: "hub", flags: ["--http", ...flags], copied: ["hub.secret", "hub.id"], ...more });
}

/** What the newest instance's setup link holds: the one that counts. */
export function setupOf(cluster: Cluster): string {
	return String(cluster.instances.at(-1)?.ready["setupUrl"]).split("#setup=")[1] ?? "";
}

/** Makes a process read another time of day than this machine's, in every library of it; how time passes stays. */
export function clockOff(offMs: number): Readonly<Record<string, string>> {
	if (offMs === 0) return {};
	const script = `const Own = Date, now = Own.now;
globalThis.Date = class Date extends Own {
	constructor(...given) { given.length === 0 ? super(now() + ${offMs}) : super(...given); }
	static now() { return now() + ${offMs}; }
};`;
	return { NODE_OPTIONS: `--import=data:text/javascript;base64,${Buffer.from(script).toString("base64")}` };
}

/** Cuts a way off without a word, or gives it back. */
export function stall(way: FaultRelay, stalled: boolean): void {
	way.faults.stalled = stalled;
	if (!stalled) way.cut();
}

export function print(what: string, ms: number): void {
	process.stdout.write(`${what}: ${(ms / 1000).toFixed(2)} s\n`);
}
