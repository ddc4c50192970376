// The coordinator under many joiners: a join storm, then deltas. Plain HTTP, as the aim says; --tls for a storm of TLS.
// node bench/coordinator/run.ts [--joiners 10000] [--group 100] [--deltas 300] [--tls] [--smoke]
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority, type CertifiedKey } from "@warren/net";
import { AuthorityFolder } from "@warren/overlay";
import { tempFolder } from "@warren/testkit";
import { Agent, request } from "undici";
import { percentile } from "../terminal/statistics.ts";

const { values } = parseArgs({
	options: {
		joiners: { type: "string" },
		group: { type: "string" },
		deltas: { type: "string" },
		tls: { type: "boolean", default: false },
		smoke: { type: "boolean", default: false },
	},
});
const joiners = Number(values.joiners ?? (values.smoke ? 60 : values.tls ? 1_000 : 10_000));
const group = Math.min(joiners, Number(values.group ?? (values.smoke ? 20 : 100)));
const deltas = Number(values.deltas ?? (values.smoke ? 10 : 300));
const concurrency = 64;
/** Coordinator, kernel and joiners share the machine: whoever waits longer than this has lost an event. */
const eventTimeoutMs = 30_000;

using folder = tempFolder("bench-coordinator");
const tls = values.tls ? await certificates() : null;
await using coordinator = await startCoordinator();
const origin = new URL(coordinator.url);
const shared = new Agent({ connections: concurrency });

interface Joiner {
	/** Its own connection and certificate with TLS, else everybody's. */
	readonly agent: Agent;
	readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | null;
	readonly group: number;
	peerId: string;
	socket: Socket | null;
	bytes: number;
}
const all: Joiner[] = Array.from({ length: joiners }, (_, index) => ({
	...identityOf(index),
	group: index % Math.ceil(joiners / group),
	peerId: "",
	socket: null,
	bytes: 0,
}));
const expected = (of: Joiner) => all.filter((each) => each.group === of.group).length - 1;

const cpu0 = coordinator.cpuMs();
const stormStart = performance.now();
await inParallel(all, async (joiner) => {
	const answer = await post(joiner, "/v1/mesh/register", {
		wg_public_key: randomBytes(32).toString("base64"),
		display_name: "joiner",
		tags: [`g${joiner.group}`],
		wg_listen_port: 51820,
	});
	joiner.peerId = (answer as { peer_id: string }).peer_id;
});
const registeredMs = performance.now() - stormStart;
await inParallel(all, openStream);
const stormMs = performance.now() - stormStart;
const cpuStorm = coordinator.cpuMs() - cpu0;
const idleRss = coordinator.rssMb();

// One peer's endpoint changes; every viewer of its group is told. The clock stops at the last of them.
const waits: number[] = [];
const bytesPerDelta: number[] = [];
const cpu1 = coordinator.cpuMs();
for (let index = 0; index < deltas; index++) {
	const changed = all[(index * 7919) % all.length] as Joiner;
	const viewers = all.filter((each) => each !== changed && each.group === changed.group);
	const before = viewers.reduce((sum, each) => sum + each.bytes, 0);
	const port = 1_024 + index;
	const told = Promise.all(viewers.map((viewer) => sees(viewer, `:${port}"`)));
	const start = performance.now();
	await post(changed, "/v1/mesh/heartbeat", { peer_id: changed.peerId, wg_listen_port: port, follows_stream: true });
	await told;
	waits.push(performance.now() - start);
	bytesPerDelta.push((viewers.reduce((sum, each) => sum + each.bytes, 0) - before) / Math.max(1, viewers.length));
}
const cpuDeltas = coordinator.cpuMs() - cpu1;
const rows: [string, string][] = [
	["joiners × peers each sees", `${joiners} × ${group - 1}`],
	["join storm: registered", `${(registeredMs / 1000).toFixed(2)} s`],
	["join storm: all streams have their roster", `${(stormMs / 1000).toFixed(2)} s`],
	["coordinator's CPU for the storm", `${(cpuStorm / 1000).toFixed(2)} s`],
	["change → last viewer p50", `${percentile(waits, 0.5).toFixed(1)} ms`],
	["change → last viewer p99", `${percentile(waits, 0.99).toFixed(1)} ms`],
	["coordinator's CPU per delta", `${(cpuDeltas / deltas).toFixed(2)} ms`],
	["bytes per delta and viewer", `${(bytesPerDelta.reduce((sum, each) => sum + each, 0) / deltas).toFixed(0)}`],
	["coordinator's memory after the storm", `${idleRss.toFixed(0)} MB`],
	["coordinator's memory at the end", `${coordinator.rssMb().toFixed(0)} MB`],
];
for (const [name, value] of rows) console.log(`${name.padEnd(44)} ${value}`);
for (const each of all) {
	each.socket?.destroy();
	if (each.tls !== null) await each.agent.destroy();
}
await shared.destroy();

function identityOf(index: number): Pick<Joiner, "agent" | "tls"> {
	if (tls === null) return { agent: shared, tls: null };
	const own = { ca: tls.ca, ...(tls.each[index] as CertifiedKey) };
	return { agent: new Agent({ connections: 1, connect: own }), tls: own };
}

async function post(joiner: Joiner, path: string, body: object): Promise<unknown> {
	const answer = await request(`${origin.origin}${path}`, {
		method: "POST",
		dispatcher: joiner.agent,
		headers: { "content-type": "application/json" },
		body: JSON.stringify(body),
	});
	const text = await answer.body.text();
	if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${text}`);
	return JSON.parse(text);
}

/** A bare socket, without a client's own costs; resolves with the end of the first roster. */
function openStream(joiner: Joiner): Promise<void> {
	const at = { host: origin.hostname, port: Number(origin.port) };
	const socket = joiner.tls === null ? connect(at) : connectTls({ ...at, ...joiner.tls });
	joiner.socket = socket;
	socket.setEncoding("latin1");
	socket.on("data", (text: string) => (joiner.bytes += text.length));
	socket.write(`GET /v1/mesh/peers/stream?peer_id=${joiner.peerId}&deltas=1 HTTP/1.1\r\nHost: ${origin.host}\r\n\r\n`);
	return sees(joiner, `event: snapshot_end\ndata: {"peers":${expected(joiner)}}`);
}

function sees(joiner: Joiner, text: string): Promise<void> {
	return new Promise((resolve, reject) => {
		let rest = "";
		const socket = joiner.socket as Socket;
		const late = setTimeout(() => done(new Error(`nobody told a viewer of ${text}`)), eventTimeoutMs);
		const done = (failure?: Error) => {
			clearTimeout(late);
			socket.off("data", look);
			socket.off("error", done);
			if (failure === undefined) resolve();
			else reject(failure);
		};
		const look = (part: string) => {
			rest = rest.slice(-text.length) + part;
			if (rest.includes(text)) done();
		};
		socket.on("data", look);
		socket.on("error", done);
	});
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
	let next = 0;
	await Promise.all(
		Array.from({ length: concurrency }, async () => {
			while (next < items.length) await work(items[next++] as T);
		}),
	);
}

async function certificates() {
	const ca = await AuthorityFolder.init(folder.file("ca"), "bench", [], systemClock, systemRandom);
	const made = await ca.issuePeer({
		name: "bench",
		out: folder.file("bench"),
		tags: [],
		hosts: ["127.0.0.1"],
		days: 1,
	});
	const files = { ca: made.caFile, cert: made.certFile, key: made.keyFile };
	const read = (file: string) => readFileSync(file, "utf8");
	const pem = { cert: read(folder.file("ca/ca.crt")), key: read(folder.file("ca/ca.key")) };
	const authority = await Authority.load(pem, systemClock, systemRandom);
	// A certificate is one peer: each joiner has its own.
	const each: CertifiedKey[] = [];
	for (let index = 0; index < joiners; index++) {
		const tag = `urn:warren:tag:g${index % Math.ceil(joiners / group)}`;
		each.push(await authority.issue({ name: `joiner-${index}`, hosts: [], uris: [tag], usages: ["client"] }));
	}
	return { files, ca: read(files.ca), each };
}

async function startCoordinator() {
	const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));
	const groups = Math.ceil(joiners / group);
	const { writeFileSync } = await import("node:fs");
	writeFileSync(
		folder.file("policy.json"),
		JSON.stringify({
			acls: Array.from({ length: groups }, (_, index) => ({
				action: "accept",
				src: [`tag:g${index}`],
				dst: [`tag:g${index}`],
			})),
		}),
	);
	const secure =
		tls === null
			? ["--insecure-no-mtls"]
			: ["--tls-cert", tls.files.cert, "--tls-key", tls.files.key, "--tls-ca", tls.files.ca];
	const child: ChildProcess = spawn(
		process.execPath,
		[
			main,
			"coordinator",
			"--bind",
			"127.0.0.1:0",
			"--policy-file",
			folder.file("policy.json"),
			"--no-stun",
			"--log-level",
			"error",
			"--json",
			...secure,
		],
		{
			stdio: ["ignore", "pipe", "inherit"],
			env: { PATH: process.env["PATH"] ?? "", HOME: folder.path, WARREN_ALLOW_INSECURE: "1" },
		},
	);
	const [line] = await Promise.race([
		new Promise<string[]>((resolve) =>
			createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", (text) => resolve([text])),
		),
		new Promise<string[]>((_resolve, reject) =>
			child.once("exit", (code) => reject(new Error(`the coordinator ended with ${code}`))),
		),
	]);
	const { url } = JSON.parse(line as string) as { url: string };
	const proc = (file: string) =>
		process.platform === "linux" ? readFileSync(`/proc/${child.pid}/${file}`, "utf8") : "";
	return {
		url,
		/** User and system time; a tick is 10 ms. */
		cpuMs: () => {
			const fields = proc("stat").split(") ")[1]?.split(" ") ?? [];
			return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
		},
		rssMb: () => Number(/VmRSS:\s+(\d+)/.exec(proc("status"))?.[1] ?? 0) / 1024,
		async [Symbol.asyncDispose]() {
			const ended = new Promise((resolve) => child.once("exit", resolve));
			child.kill("SIGTERM");
			await ended;
		},
	};
}
