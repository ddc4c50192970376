// node bench/tunnel/run.ts [--smoke] [--rounds N]: requests/s, p50/p99 and CPU a thousand requests, 64 bytes and 100 MB,
// with identity checked on every request; beside nginx→nginx where nginx is installed, in alternating rounds. Medians.
// --smoke: one short round without peers or verdicts.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../terminal/statistics.ts";

const { values } = parseArgs({ options: { smoke: { type: "boolean", default: false }, rounds: { type: "string" } } });
const { smoke } = values;
const rounds = Number(values.rounds ?? (smoke ? 1 : 5));
const seconds = smoke ? 0.5 : 5;
const concurrencies = smoke ? [8] : [1, 48, 256];
const largeBytes = smoke ? 2_000_000 : 100_000_000;
const main = fileURLToPath(new URL("../../apps/warren/src/main.ts", import.meta.url));
const loadFile = fileURLToPath(new URL("load.ts", import.meta.url));
const transports = smoke ? ["parked"] : ["parked", "websocket", "http2"];
const adminToken = "an-administrator-of-benches";

interface Path {
	readonly name: string;
	readonly port: number;
	readonly host: string;
	readonly credential: string | null;
	/** Whose CPU time counts. */
	readonly pids: readonly number[];
}

interface Result {
	readonly perSecond: number;
	readonly bytesPerSecond: number;
	readonly p50: number;
	readonly p99: number;
	readonly errors: number;
	readonly cpuPerThousand: number;
}

const children: ChildProcess[] = [];

async function started(
	args: readonly string[],
	env: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
	const child = spawn(process.execPath, [main, ...args, "--json"], {
		stdio: ["ignore", "pipe", "inherit"],
		env: { PATH: process.env["PATH"] ?? "", WARREN_LOG_LEVEL: "error", ...env },
	});
	children.push(child);
	const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
	return JSON.parse(line) as Record<string, unknown>;
}

async function freePort(): Promise<number> {
	const server = createTcpServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}

/** An nginx of one worker, in the foreground. */
async function nginx(
	folder: string,
	name: string,
	server: string,
	upstream: string,
): Promise<{ port: number; pid: number }> {
	const port = await freePort();
	const base = join(folder, name);
	mkdirSync(base);
	const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
		(each) => `${each}_temp_path ${base}/${each};`,
	);
	writeFileSync(
		join(base, "nginx.conf"),
		`daemon off; master_process off; pid ${base}/pid; error_log ${base}/error; events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; ${temporary.join(" ")} ${upstream}
server { listen 127.0.0.1:${port}; ${server} } }`,
	);
	const child = spawn("nginx", ["-c", join(base, "nginx.conf"), "-e", join(base, "error")], { stdio: "ignore" });
	children.push(child);
	return { port, pid: child.pid as number };
}

/** Seconds of CPU that a process has used. */
function cpuSeconds(pid: number): number {
	const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function measure(path: Path, concurrency: number, target: string): Promise<Result> {
	const before = path.pids.map(cpuSeconds).reduce((sum, each) => sum + each, 0);
	const child = spawn(
		process.execPath,
		[loadFile, String(path.port), path.host, String(concurrency), String(seconds), target],
		{
			stdio: ["ignore", "pipe", "inherit"],
			env: {
				PATH: process.env["PATH"] ?? "",
				...(path.credential === null ? {} : { BENCH_CREDENTIAL: path.credential }),
			},
		},
	);
	children.push(child);
	const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
	const result = JSON.parse(line) as Omit<Result, "cpuPerThousand">;
	if (result.errors > 0) throw new Error(`${path.name}: ${result.errors} requests failed`);
	const used = path.pids.map(cpuSeconds).reduce((sum, each) => sum + each, 0) - before;
	return { ...result, cpuPerThousand: used / ((result.perSecond * seconds) / 1000) };
}

const lock = join(tmpdir(), "warren-bench.lock");
try {
	writeFileSync(lock, String(process.pid), { flag: "wx" });
} catch {
	console.error(`Another bench runs: ${lock} is there. If none does, remove it.`);
	process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "warren-bench-tunnel-"));
const origin = createServer((request, response) => {
	response.end(request.url === "/large" ? Buffer.alloc(largeBytes) : Buffer.alloc(64, "x"));
});
try {
	const hasNginx = !smoke && existsSync("/proc") && spawnSync("nginx", ["-v"]).error === undefined;
	const paths: Path[] = [];
	let originPort: number;
	if (hasNginx) {
		const www = join(folder, "www");
		mkdirSync(www);
		writeFileSync(join(www, "index.html"), "x".repeat(64));
		writeFileSync(join(www, "large"), Buffer.alloc(largeBytes));
		originPort = (await nginx(folder, "origin", `root ${www};`, "")).port;
		const upstream = `upstream origin { server 127.0.0.1:${originPort}; keepalive 512; keepalive_requests 1000000000; }`;
		const proxy = await nginx(
			folder,
			"proxy",
			'location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }',
			upstream,
		);
		paths.push({ name: "nginx → nginx", port: proxy.port, host: "localhost", credential: null, pids: [proxy.pid] });
	} else {
		await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
		originPort = (origin.address() as AddressInfo).port;
		if (!smoke) console.log("nginx is not installed: no comparison (Debian's package: nginx-light)");
	}
	const server = await started(["backbone", "--http", "--port", "0", "--data", join(folder, "data")], {
		BACKBONE_ADMIN_TOKEN: adminToken,
		HOME: folder,
	});
	const port = server["port"] as number;
	const api = async (path: string, body: object): Promise<Record<string, string>> => {
		const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
			method: "POST",
			headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
			body: JSON.stringify(body),
		});
		return (await answer.json()) as Record<string, string>;
	};
	const { credential, principal_id } = await api("/principals", { name: "Bench", email: "bench@example.com" });
	for (const transport of transports) {
		const { token } = await api("/admin/api/tokens", { service_name: transport });
		await api("/admin/api/grants", { principal_id, service: transport });
		const agent = await started(
			[
				"agent",
				"--backbone",
				`http://127.0.0.1:${port}`,
				"--service",
				transport,
				"--target",
				`127.0.0.1:${originPort}`,
				"--transport",
				transport,
			],
			{ BACKBONE_SERVICE_TOKEN: token as string, HOME: folder },
		);
		paths.push({
			name: `warren, ${transport}`,
			port,
			host: `${transport}.localhost`,
			credential: credential as string,
			pids: [server["pid"] as number, agent["pid"] as number],
		});
	}
	const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout.trim();
	console.log(
		`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}${hasNginx ? `, ${execFileSync("nginx", ["-v"], { encoding: "utf8", stdio: "pipe" })}` : ""}, commit ${commit}, ${rounds} rounds of ${seconds} s`,
	);
	for (const [what, target, list] of [
		["64 B", "/", concurrencies],
		[`${largeBytes / 1e6} MB`, "/large", [1]],
	] as const) {
		for (const concurrency of list) {
			const results = new Map<string, Result[]>(paths.map(({ name }) => [name, []]));
			for (let round = 0; round < rounds; round++)
				for (const path of paths) results.get(path.name)?.push(await measure(path, concurrency, target));
			const base = results.get("nginx → nginx");
			for (const [name, each] of results) {
				const of = (field: keyof Result) => median(each.map((result) => result[field]));
				const ratio =
					base === undefined || base === each
						? ""
						: `  ${(of("perSecond") / median(base.map((result) => result.perSecond))).toFixed(2)} × nginx`;
				console.log(
					target === "/"
						? `${what} c=${concurrency}  ${name.padEnd(18)} ${of("perSecond").toFixed(0)} requests/s  p50 ${of("p50").toFixed(2)} ms  p99 ${of("p99").toFixed(2)} ms  CPU ${of("cpuPerThousand").toFixed(3)} s a thousand${ratio}`
						: `${what} c=${concurrency}  ${name.padEnd(18)} ${(of("bytesPerSecond") / 1e6).toFixed(0)} MB/s${ratio}`,
				);
			}
		}
	}
} finally {
	origin.closeAllConnections();
	origin.close();
	for (const child of children) child.kill("SIGKILL");
	rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
	rmSync(lock, { force: true });
}
