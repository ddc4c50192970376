import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { freePort, type StartedCommand, startCommand, TestNats, TestPostgres, tempFolder } from "@warren/testkit";

export interface Instance {
	readonly process: StartedCommand;
	readonly port: number;
}

/** So many instances of a role over one PostgreSQL and one NATS, all of them on this machine. */
export class ScaleCluster implements AsyncDisposable {
	readonly instances: Instance[] = [];
	/** What each instance printed when it was ready. */
	readonly ready: Readonly<Record<string, unknown>>[] = [];
	readonly #postgres: TestPostgres;
	readonly #nats: TestNats;
	readonly #folder = tempFolder("scale");

	private constructor(postgres: TestPostgres, nats: TestNats) {
		this.#postgres = postgres;
		this.#nats = nats;
	}

	/** @param copied of the first instance's data folder into the others'. */
	static async start(
		count: number,
		args: readonly string[],
		options: {
			readonly env?: Readonly<Record<string, string>>;
			readonly copied?: readonly string[];
			readonly nats: boolean;
		},
	): Promise<ScaleCluster> {
		const cluster = new ScaleCluster(new TestPostgres({ port: await freePort() }), await TestNats.start());
		const database = `postgres://${cluster.#postgres.user}@127.0.0.1:${cluster.#postgres.port}/${cluster.#postgres.createDatabase()}`;
		const nats = options.nats ? ["--nats", cluster.#nats.url] : [];
		for (let index = 0; index < count; index++) {
			const home = cluster.#folder.file(`instance${index}`);
			for (const file of index === 0 ? [] : (options.copied ?? [])) {
				const to = join(home, "data", file);
				mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
				copyFileSync(join(cluster.#folder.file("instance0"), "data", file), to);
			}
			const port = await freePort();
			const where = ["--host", "127.0.0.1", "--port", String(port), "--json", "--database", database, ...nats];
			const env = options.env === undefined ? {} : { env: options.env };
			const process = startCommand([...args, ...where], { home, ...env });
			cluster.ready.push(await process.line());
			cluster.instances.push({ process, port });
		}
		return cluster;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const { process } of this.instances) await process.kill("SIGKILL");
		await this.#nats[Symbol.asyncDispose]();
		this.#postgres[Symbol.dispose]();
		this.#folder[Symbol.dispose]();
	}
}

export function percentile(values: readonly number[], share: number): number {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
