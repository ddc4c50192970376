import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

/** One instance of a hub, as its own process, with its own way to PostgreSQL and to NATS. */
export interface Instance {
	readonly index: number;
	readonly hub: StartedCommand;
	readonly origin: string;
	/** Printed while nobody has an account. */
	readonly setupUrl: string | null;
	readonly toDatabase: FaultRelay;
	readonly toNats: FaultRelay;
}

/** Three hubs over one PostgreSQL and one NATS. */
export class Cluster implements AsyncDisposable {
	readonly postgres: TestPostgres;
	readonly nats: TestNats;
	readonly instances: Instance[] = [];
	readonly #folder = tempFolder("cluster");
	readonly #database: string;
	readonly #flags: readonly string[];
	readonly #offMs: readonly number[];

	private constructor(postgres: TestPostgres, nats: TestNats, flags: readonly string[], offMs: readonly number[]) {
		this.#offMs = offMs;
		this.postgres = postgres;
		this.nats = nats;
		this.#flags = flags;
		this.#database = postgres.createDatabase();
	}

	/** @param offMs how far each instance's clock is off. */
	static async start(count = 3, flags: readonly string[] = [], offMs: readonly number[] = []): Promise<Cluster> {
		const postgres = new TestPostgres({ port: await freePort() });
		const cluster = new Cluster(postgres, await TestNats.start(), flags, offMs);
		for (let index = 0; index < count; index++) await cluster.add(index);
		return cluster;
	}

	at(index: number): Instance {
		return this.instances[index] as Instance;
	}

	/** Starts an instance, or starts it again after its end: same data folder, same port. */
	async add(index: number): Promise<Instance> {
		const before = this.instances[index];
		const toDatabase = before?.toDatabase ?? (await faultRelay({ host: "127.0.0.1", port: this.postgres.port }));
		const toNats = before?.toNats ?? (await faultRelay({ host: "127.0.0.1", port: this.nats.port }));
		const home = join(this.#folder.path, `hub${index}`);
		// As an administrator copies them from the first instance.
		for (const [file, text] of [
			["hub.secret", "a-secret-of-more-than-thirty-two-characters"],
			["hub.id", "cluster0test0install"],
		] as const) {
			mkdirSync(join(home, "data"), { recursive: true, mode: 0o700 });
			writeFileSync(join(home, "data", file), `${text}\n`, { mode: 0o600 });
		}
		const port = before === undefined ? String(await freePort()) : new URL(before.origin).port;
		const hub = startCommand(
			[
				"hub",
				"--name",
				`hub${index}`,
				"--http",
				"--host",
				"127.0.0.1",
				"--port",
				port,
				"--json",
				...this.#flags,
				...this.backends(toDatabase, toNats),
			],
			{ home, env: clockOff(this.#offMs[index] ?? 0) },
		);
		const ready = await hub.line<{ url: string; setupUrl: string | null }>();
		const origin = `http://127.0.0.1:${port}`;
		const instance = { index, hub, origin, setupUrl: ready.setupUrl, toDatabase, toNats };
		this.instances[index] = instance;
		return instance;
	}

	backends(toDatabase: { readonly port: number }, toNats: { readonly port: number }): string[] {
		return [
			"--database",
			`postgres://${this.postgres.user}@127.0.0.1:${toDatabase.port}/${this.#database}`,
			"--nats",
			`nats://127.0.0.1:${toNats.port}`,
		];
	}

	get database(): { readonly host: string; readonly port: number; readonly user: string; readonly database: string } {
		return { host: "127.0.0.1", port: this.postgres.port, user: this.postgres.user, database: this.#database };
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const { hub, toDatabase, toNats } of this.instances) {
			await hub[Symbol.asyncDispose]();
			await toDatabase.close();
			await toNats.close();
		}
		await this.nats[Symbol.asyncDispose]();
		this.postgres[Symbol.dispose]();
		this.#folder[Symbol.dispose]();
	}
}

/** Makes a process read another time of day than this machine's, in every library of it; how time passes stays. */
function clockOff(offMs: number): Record<string, string> {
	if (offMs === 0) return {};
	const script = `const Own = Date, now = Own.now;
globalThis.Date = class Date extends Own {
	constructor(...given) { given.length === 0 ? super(now() + ${offMs}) : super(...given); }
	static now() { return now() + ${offMs}; }
};`;
	return { NODE_OPTIONS: `--import=data:text/javascript;base64,${Buffer.from(script).toString("base64")}` };
}
