import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { GatewayPeer, NatsPeer, SocketIoPeer, secretOf } from "./dialects.ts";
import type { PeerSocket } from "./peer-socket.ts";

export const ways = ["warren", "warren+receipts", "warren+queue", "plain", "socket.io", "nats"] as const;
export type Way = (typeof ways)[number];

const features: Partial<Record<Way, readonly string[]>> = {
	"warren+receipts": ["receipts"],
	"warren+queue": ["receipts", "ordered", "queue"],
};
const natsServer = process.env["WARREN_BENCH_NATS"] ?? "nats-server";
const main = join(import.meta.dirname, "../../apps/warren/src/main.js");

/** A server of the bench as its own process. */
export class BenchServer {
	readonly way: Way;
	readonly port: number;
	readonly #process: ChildProcess;
	readonly #folder: string;

	private constructor(way: Way, port: number, child: ChildProcess, folder: string) {
		this.way = way;
		this.port = port;
		this.#process = child;
		this.#folder = folder;
	}

	/** Why this way cannot be measured here, or null. */
	static obstacle(way: Way): string | null {
		if (way === "nats" && spawnSync(natsServer, ["--version"]).error !== undefined)
			return "nats-server is not installed (apt install nats-server, or WARREN_BENCH_NATS=its path)";
		if (way !== "socket.io" || existsSync(join(import.meta.dirname, "peers/node_modules/socket.io"))) return null;
		const installed = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
			cwd: join(import.meta.dirname, "peers"),
			stdio: ["ignore", "ignore", "inherit"],
		});
		return installed.status === 0 ? null : "socket.io could not be installed";
	}

	/** @param meshes how many are to be known beforehand. */
	static async open(way: Way, meshes: number): Promise<BenchServer> {
		const folder = mkdtempSync(join(tmpdir(), "warren-bench-gateway-"));
		if (way === "nats") {
			const port = await freePort();
			const child = spawn(natsServer, ["-a", "127.0.0.1", "-p", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
			await new Promise<void>((resolve, reject) => {
				createInterface({ input: child.stderr }).on("line", (line) => line.includes("Server is ready") && resolve());
				child.once("exit", () => reject(new Error("nats-server ended")));
			});
			return new BenchServer(way, port, child, folder);
		}
		const args =
			way === "plain"
				? [join(import.meta.dirname, "servers/plain.mjs")]
				: way === "socket.io"
					? [join(import.meta.dirname, "servers/socket-io.mjs")]
					: [
							...[main, "gateway", "--json", "--data", folder, "--host", "127.0.0.1", "--port", "0"],
							...["--messages-per-minute", "10000000", "--log-level", "error"],
						];
		if (args.includes("gateway")) copyFileSync(await registered(meshes), join(folder, "gateway.db"));
		const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
		const line = await new Promise<string>((resolve, reject) => {
			createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve);
			child.once("exit", (code) => reject(new Error(`${way} ended with ${code}`)));
		});
		const ready = JSON.parse(line) as { port?: number; url?: string };
		return new BenchServer(way, ready.port ?? Number(new URL(ready.url as string).port), child, folder);
	}

	peer(meshId: string): PeerSocket {
		if (this.way === "nats") return new NatsPeer(this.port, meshId);
		if (this.way === "socket.io") return new SocketIoPeer(this.port, meshId);
		return new GatewayPeer(this.port, meshId, features[this.way] ?? []);
	}

	/** Of the whole process, resident. */
	get memoryBytes(): number {
		return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#process.pid}/status`, "utf8"))?.[1]) * 1024;
	}

	/** Processor time that the server has used so far, user and system. */
	get processorSeconds(): number {
		const fields = readFileSync(`/proc/${this.#process.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
		// In ticks: the 14th and 15th field of the whole line.
		return (Number(fields[11]) + Number(fields[12])) / 100;
	}

	async close(): Promise<void> {
		const gone = once(this.#process, "exit");
		this.#process.kill("SIGKILL");
		await gone;
		rmSync(this.#folder, { recursive: true, force: true });
	}
}

const templates = new Map<number, Promise<string>>();

/** A database in which so many meshes are known, made once. */
function registered(meshes: number): Promise<string> {
	const made = templates.get(meshes) ?? registerAll(meshes);
	templates.set(meshes, made);
	return made;
}

/** Straight into the database: the door itself limits registrations by address. */
async function registerAll(meshes: number): Promise<string> {
	const folder = mkdtempSync(join(tmpdir(), "warren-bench-gateway-"));
	process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
	const first = spawn(
		process.execPath,
		[main, "gateway", "--json", "--data", folder, "--host", "127.0.0.1", "--port", "0"],
		{
			stdio: ["ignore", "pipe", "inherit"],
		},
	);
	await once(createInterface({ input: first.stdout as NodeJS.ReadableStream }), "line");
	const gone = once(first, "exit");
	first.kill("SIGTERM");
	await gone;
	const database = new DatabaseSync(join(folder, "gateway.db"));
	const insert = database.prepare(
		"INSERT INTO gateway_meshes (mesh_id, name, secret, durable, block, created_at) VALUES (?, ?, ?, 0, '[]', 0)",
	);
	database.exec("BEGIN");
	for (let index = 0; index < meshes; index += 1) {
		const meshId = `m${index}`;
		const hash = createHash("sha256").update(secretOf(meshId)).digest("base64url");
		insert.run(meshId, meshId, JSON.stringify({ kind: "sha256", hash }));
	}
	database.exec("COMMIT");
	// One file, whole: nothing of it stays in a log beside it.
	database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
	database.close();
	return join(folder, "gateway.db");
}

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as { port: number };
	await new Promise((resolve) => server.close(resolve));
	return port;
}
