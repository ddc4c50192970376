import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child } from "./child.ts";
import type { ClientJob, FanOutResult } from "./client.ts";
import { type ServerName, serverNames } from "./dialect.ts";

/** Side by side with the peers: README.md says what is measured. */
const { values: options } = parseArgs({
	options: {
		smoke: { type: "boolean", default: false },
		json: { type: "string" },
		/** A scenario whose name begins so. */
		only: { type: "string", default: "" },
		rounds: { type: "string" },
		seconds: { type: "string" },
		/** Names of servers, with commas; a smoke round runs ours alone, and fetches nothing. */
		servers: { type: "string" },
	},
});
const smoke = options.smoke;
const rounds = Number(options.rounds ?? (smoke ? 1 : 3));
const scale = smoke ? 0.1 : 1;
const wanted = options.servers ?? (smoke ? "warren" : serverNames.join(","));
const servers = serverNames.filter((each) => wanted.split(",").includes(each));
const fanOuts = [
	{ clients: 200, perSecond: 20 },
	{ clients: 100, perSecond: 500 },
	{ clients: 500, perSecond: 200 },
].map((each) => ({ clients: Math.max(4, Math.round(each.clients * scale)), perSecond: each.perSecond }));
const seconds = Number(options.seconds ?? (smoke ? 1 : 15));
const here = import.meta.dirname;

type Measures = Record<string, number>;

const scratch = mkdtempSync(join(tmpdir(), "warren-bench-"));
try {
	await main();
} finally {
	rmSync(scratch, { recursive: true, force: true });
}

async function main(): Promise<void> {
	if (servers.some((each) => each !== "warren")) installPeers();
	const scenarios: Record<string, (server: ServerName) => Promise<Measures>> = {};
	for (const { clients, perSecond } of fanOuts)
		scenarios[`fan-out ${clients} × ${perSecond}/s`] = (server) => fanOut(server, clients, perSecond);
	scenarios["presence"] = presence;
	scenarios["memory"] = memory;
	scenarios["join"] = joinStorm;
	scenarios["crash"] = crash;
	const results: Record<string, Record<string, Measures>> = {};
	for (const [name, run] of Object.entries(scenarios)) {
		if (!name.startsWith(options.only)) continue;
		const measured: Record<ServerName, Measures[]> = { "y-websocket": [], hocuspocus: [], warren: [] };
		for (let round = 0; round < rounds; round++) {
			// Another order each round: whoever runs first finds a colder machine.
			for (let turn = 0; turn < servers.length; turn++) {
				const server = servers[(turn + round) % servers.length] as ServerName;
				measured[server].push(await run(server));
			}
		}
		const medians = Object.fromEntries(servers.map((server) => [server, medianOf(measured[server])]));
		results[name] = medians;
		print(name, medians);
	}
	if (options.json !== undefined) {
		const report = { node: process.version, versions: versions(), rounds, smoke, results };
		writeFileSync(options.json, `${JSON.stringify(report, null, "\t")}\n`);
	}
}

/** From the lock file, with npm's own checks, outside the repository. */
function installPeers(): void {
	for (const file of ["package.json", "package-lock.json"]) cpSync(join(here, "peers", file), join(scratch, file));
	const npm = process.env["npm_execpath"];
	const args = ["ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
	const done =
		npm === undefined
			? spawnSync("npm", args, { cwd: scratch, stdio: "inherit" })
			: spawnSync(process.execPath, [npm, ...args], { cwd: scratch, stdio: "inherit" });
	if (done.status !== 0) throw new Error("the peers could not be installed");
	process.stderr.write(`${JSON.stringify(versions())}\n`);
}

function versions(): Record<string, string> {
	const of = (name: string) => {
		const file = join(scratch, "node_modules", name, "package.json");
		return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : "absent";
	};
	return Object.fromEntries(["y-websocket", "@hocuspocus/server", "yjs", "ws"].map((name) => [name, of(name)]));
}

interface Running {
	readonly child: Child;
	readonly port: number;
	readonly data: string;
}

async function start(server: ServerName, data = mkdtempSync(join(scratch, "data-"))): Promise<Running> {
	const file = server === "warren" ? "warren.ts" : `${server}.mjs`;
	const child = new Child(join(here, "servers", file), { BENCH_PEERS: scratch, BENCH_DATA: data });
	return { child, data, port: await child.answer<number>("ready") };
}

async function withClient<T>(use: (client: Child) => Promise<T>): Promise<T> {
	const client = new Child(join(here, "client.ts"), {});
	try {
		return await use(client);
	} finally {
		await client.kill();
	}
}

async function fanOut(server: ServerName, clients: number, perSecond: number): Promise<Measures> {
	const running = await start(server);
	try {
		return await withClient(async (client) => {
			const job: ClientJob = {
				job: "fan-out",
				server,
				port: running.port,
				clients,
				perSecond,
				seconds,
				warmUpSeconds: smoke ? 0.5 : 4,
			};
			const started = client.answer("started");
			const done = client.ask<FanOutResult>(job, "done");
			await started;
			const before = await running.child.ask<number>("cpu");
			const result = await done;
			const cpuMicros = (await running.child.ask<number>("cpu")) - before;
			return {
				"CPU µs per delivered": cpuMicros / result.delivered,
				"p50 ms": result.p50Ms,
				"p99 ms": result.p99Ms,
				"delivered %": (100 * result.delivered) / (result.sent * (clients - 1)),
			};
		});
	} finally {
		await running.child.kill();
	}
}

/** Cursors and names alone: what everybody's being here costs while nobody writes. */
async function presence(server: ServerName): Promise<Measures> {
	const clients = Math.round(500 * scale);
	const running = await start(server);
	try {
		return await withClient(async (client) => {
			const started = client.answer("started");
			const job: ClientJob = { job: "presence", server, port: running.port, clients, seconds: Math.max(2, seconds) };
			const done = client.ask<number>(job, "done");
			await started;
			const [before, from] = [await running.child.ask<number>("cpu"), performance.now()];
			const heard = await done;
			const cpuMicros = (await running.child.ask<number>("cpu")) - before;
			return { "% of a core": cpuMicros / 10 / (performance.now() - from), "heard of %": (100 * heard) / clients };
		});
	} finally {
		await running.child.kill();
	}
}

async function memory(server: ServerName): Promise<Measures> {
	const rooms = Math.round(1_000 * scale);
	const running = await start(server);
	try {
		const before = await running.child.ask<number>("memory");
		return await withClient(async (client) => {
			await client.ask(
				{
					job: "open-rooms",
					server,
					port: running.port,
					rooms,
					bytes: 100_000,
					restMs: smoke ? 500 : 40_000,
				} satisfies ClientJob,
				"done",
			);
			const after = await running.child.ask<number>("memory");
			return { "MB resident": (after - before) / 1e6 };
		});
	} finally {
		await running.child.kill();
	}
}

async function joinStorm(server: ServerName): Promise<Measures> {
	const clients = Math.round(150 * scale);
	const bytes = 20e6 * scale;
	const running = await start(server);
	try {
		await withClient((client) =>
			client.ask({ job: "seed", server, port: running.port, bytes } satisfies ClientJob, "done"),
		);
		const before = await running.child.ask<number>("cpu");
		const tookMs = await withClient((client) =>
			client.ask<number>({ job: "join", server, port: running.port, clients, bytes } satisfies ClientJob, "done"),
		);
		const cpuMicros = (await running.child.ask<number>("cpu")) - before;
		return {
			"last joiner s": tookMs / 1000,
			"CPU s": cpuMicros / 1e6,
			"peak MB": (await running.child.ask<number>("peak")) / 1e6,
		};
	} finally {
		await running.child.kill();
	}
}

async function crash(server: ServerName): Promise<Measures> {
	const updates = Math.round(200 * scale);
	const running = await start(server);
	await withClient((client) =>
		client.ask({ job: "write-seen", server, port: running.port, updates } satisfies ClientJob, "done"),
	);
	await running.child.kill();
	const again = await start(server, running.data);
	try {
		const found = await withClient((client) =>
			client.ask<number>({ job: "count", server, port: again.port } satisfies ClientJob, "done"),
		);
		return { lost: updates - found };
	} finally {
		await again.child.kill();
	}
}

function medianOf(measures: readonly Measures[]): Measures {
	return Object.fromEntries(
		Object.keys(measures[0] ?? {}).map((key) => {
			const values = measures.map((each) => each[key] as number).sort((a, b) => a - b);
			return [key, values[Math.floor(values.length / 2)] as number];
		}),
	);
}

function print(name: string, medians: Record<string, Measures>): void {
	process.stdout.write(`\n${name}\n`);
	for (const key of Object.keys(medians[servers[0] as ServerName] ?? {})) {
		const ours = medians["warren"]?.[key] ?? Number.NaN;
		const cells = servers.map((server) => {
			const value = medians[server]?.[key] ?? Number.NaN;
			const ratio = server === "warren" ? "" : ` (ours ${(ours / value).toFixed(2)}×)`;
			return `${server} ${value.toFixed(2)}${ratio}`;
		});
		process.stdout.write(`  ${key.padEnd(22)} ${cells.join("   ")}\n`);
	}
}
