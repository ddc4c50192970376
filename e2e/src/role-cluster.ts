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
export interface RoleInstance {
	readonly index: number;
	readonly process: StartedCommand;
	readonly port: number;
	readonly ready: Readonly<Record<string, unknown>>;
	readonly toDatabase: FaultRelay;
	readonly toNats: FaultRelay;
}

export interface RoleClusterOptions {
	readonly role: string;
	readonly flags: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
	/** What an administrator copies from the first instance's data folder. */
	readonly copied?: readonly string[];
	/** It needs the database alone. */
	readonly withoutNats?: boolean;
}

/** Several instances of a role over one PostgreSQL and one NATS, on loopback. */
export class RoleCluster implements AsyncDisposable {
	readonly postgres: TestPostgres;
	readonly nats: TestNats;
	readonly instances: RoleInstance[] = [];
	readonly folder = tempFolder("role-cluster");
	readonly #options: RoleClusterOptions;
	readonly #database: string;

	private constructor(postgres: TestPostgres, nats: TestNats, options: RoleClusterOptions) {
		this.postgres = postgres;
		this.nats = nats;
		this.#options = options;
		this.#database = postgres.createDatabase();
	}

	static async start(count: number, options: RoleClusterOptions): Promise<RoleCluster> {
		const cluster = new RoleCluster(new TestPostgres({ port: await freePort() }), await TestNats.start(), options);
		try {
			for (let index = 0; index < count; index++) await cluster.add(index);
			return cluster;
		} catch (failure) {
			await cluster[Symbol.asyncDispose]();
			throw failure;
		}
	}

	at(index: number): RoleInstance {
		return this.instances[index] as RoleInstance;
	}

	/** Starts an instance, or starts it again after its end: same data folder, same port. */
	async add(index: number): Promise<RoleInstance> {
		const before = this.instances[index];
		const toDatabase = before?.toDatabase ?? (await faultRelay({ host: "127.0.0.1", port: this.postgres.port }));
		const toNats = before?.toNats ?? (await faultRelay({ host: "127.0.0.1", port: this.nats.port }));
		const home = this.home(index);
		this.#copy(home);
		const port = before?.port ?? (await freePort());
		const process = this.run(home, port, this.backends(toDatabase, toNats));
		const ready = await process.line<Readonly<Record<string, unknown>>>();
		const instance = { index, process, port, ready, toDatabase, toNats };
		this.instances[index] = instance;
		return instance;
	}

	/** As the database has it. */
	async leadership(role: string): Promise<{ readonly epoch: number; readonly address: string }> {
		const client = new Client({
			...{ host: "127.0.0.1", port: this.postgres.port, user: this.postgres.user, database: this.#database },
		});
		await client.connect();
		try {
			const { rows } = await client.query("select epoch, address from store_leadership where role = $1", [role]);
			return { epoch: Number(rows[0]?.epoch), address: rows[0]?.address };
		} finally {
			await client.end();
		}
	}

	/** A process of this role, however it ends. */
	run(home: string, port: number, backends: readonly string[]): StartedCommand {
		const { role, flags, env } = this.#options;
		const args = [role, ...flags, "--host", "127.0.0.1", "--port", String(port), "--json", ...backends];
		return startCommand(args, { home, ...(env === undefined ? {} : { env }) });
	}

	home(index: number): string {
		return join(this.folder.path, `instance${index}`);
	}

	backends(toDatabase: { readonly port: number }, toNats: { readonly port: number }): string[] {
		const database = `postgres://${this.postgres.user}@127.0.0.1:${toDatabase.port}/${this.#database}`;
		const nats = this.#options.withoutNats === true ? [] : ["--nats", `nats://127.0.0.1:${toNats.port}`];
		return ["--database", database, ...nats];
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
		for (const { process, toDatabase, toNats } of this.instances) {
			// What waits for a backend that a test has stopped must not make its end wait.
			await process.kill("SIGKILL");
			await toDatabase.close();
			await toNats.close();
		}
		await this.nats[Symbol.asyncDispose]();
		this.postgres[Symbol.dispose]();
		this.folder[Symbol.dispose]();
	}
}

/** Cuts a way off without a word, or gives it back. */
export function stall(way: FaultRelay, stalled: boolean): void {
	way.faults.stalled = stalled;
	if (!stalled) way.cut();
}

export function print(what: string, ms: number): void {
	process.stdout.write(`${what}: ${(ms / 1000).toFixed(2)} s\n`);
}
