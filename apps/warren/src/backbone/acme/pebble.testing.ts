import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { setDefaultCACertificates } from "node:tls";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { freePort, tempFolder } from "@warren/testkit";

const startTries = 3;
/** A watchdog, not a measure. */
const readyMs = 90_000;

/** A real certificate authority (Pebble, Let's Encrypt's own for tests), its view of the network made here. */
export class TestAcme implements AsyncDisposable {
	readonly directory: string;
	/** PEM of the root that signs what it gives. */
	readonly root: string;
	readonly #child: ChildProcess;
	readonly #parts: { close(): unknown }[];

	private constructor(directory: string, root: string, child: ChildProcess, parts: { close(): unknown }[]) {
		this.directory = directory;
		this.root = root;
		this.#child = child;
		this.#parts = parts;
	}

	/** @param looks where it finds ports 443 and 80 of every name, and TXT records one `NAME VALUE` a line. */
	static async start(
		program: string,
		looks: { readonly tls?: Promise<number>; readonly http?: Promise<number>; readonly records: string },
	): Promise<TestAcme> {
		const folder = tempFolder("pebble");
		const nobody = new Promise<number>(() => {});
		const tls = await relayTo(looks.tls ?? nobody);
		const http = await relayTo(looks.http ?? nobody);
		const dns = await dnsServer(looks.records);
		const made = await Authority.create("Pebble", ["localhost", "127.0.0.1"], systemClock, systemRandom);
		const leaf = await made.authority.issue({ name: "pebble", hosts: ["localhost", "127.0.0.1"], usages: ["server"] });
		writeFileSync(folder.file("cert.pem"), leaf.cert);
		writeFileSync(folder.file("key.pem"), leaf.key);
		setDefaultCACertificates([made.authority.certPem]);
		const parts = [tls.server, http.server, dns.server, { close: () => folder[Symbol.dispose]() }];
		for (let tries = 0; tries < startTries; tries++) {
			const [port, management] = [await freePort(), await freePort()];
			const config = {
				listenAddress: `127.0.0.1:${port}`,
				managementListenAddress: `127.0.0.1:${management}`,
				certificate: folder.file("cert.pem"),
				privateKey: folder.file("key.pem"),
				httpPort: http.port,
				tlsPort: tls.port,
				keyAlgorithm: "ecdsa",
				retryAfter: { authz: 1, order: 1 },
				profiles: { default: { description: "of tests", validityPeriod: 7_776_000 } },
			};
			writeFileSync(folder.file("config.json"), JSON.stringify({ pebble: config }));
			const child = spawn(program, ["-config", folder.file("config.json"), "-dnsserver", `127.0.0.1:${dns.port}`], {
				stdio: ["ignore", "pipe", "inherit"],
				env: { PEBBLE_VA_NOSLEEP: "1" },
			});
			// Its ports were free a moment ago; another test may have been quicker.
			if (!(await announces(child))) continue;
			// It says so before it listens.
			await accepts(port);
			await accepts(management);
			const root = await (await fetch(`https://localhost:${management}/roots/0`)).text();
			return new TestAcme(`https://localhost:${port}/dir`, root, child, parts);
		}
		throw new Error("pebble did not start");
	}

	async [Symbol.asyncDispose](): Promise<void> {
		const exited = new Promise((resolve) => this.#child.once("exit", resolve));
		this.#child.kill("SIGKILL");
		await exited;
		for (const part of this.#parts) part.close();
	}
}

/** Resolves once somebody answers there. */
async function accepts(port: number): Promise<void> {
	const until = performance.now() + readyMs;
	const dial = () =>
		new Promise<boolean>((resolve) => {
			const socket = connect(port, "127.0.0.1", () => {
				socket.destroy();
				resolve(true);
			});
			socket.on("error", () => resolve(false));
		});
	while (!(await dial())) {
		if (performance.now() > until) throw new Error(`nobody listens on ${port}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

function announces(child: ChildProcess): Promise<boolean> {
	return new Promise((resolve) => {
		child.once("exit", () => resolve(false));
		let said = "";
		child.stdout?.setEncoding("utf8").on("data", (text: string) => {
			said = (said + text).slice(-10_000);
			if (said.includes("ACME directory available at")) resolve(true);
		});
	});
}

/** A port that leads on, once it is known where to. */
async function relayTo(target: Promise<number>): Promise<{ server: Server; port: number }> {
	const server = createServer((near) => {
		near.on("error", () => near.destroy());
		void target.then((port) => {
			const far = connect(port, "127.0.0.1");
			far.on("error", () => near.destroy());
			near.pipe(far).pipe(near);
		});
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return { server, port: (server.address() as AddressInfo).port };
}

const types = { a: 1, txt: 16 } as const;

/** Every name is this machine; TXT records are the lines of a file. RFC 1035 over TCP, as far as Pebble asks. */
async function dnsServer(records: string): Promise<{ server: Server; port: number }> {
	const server = createServer((socket) => {
		let seen = Buffer.alloc(0);
		socket.on("error", () => socket.destroy());
		socket.on("data", (bytes: Buffer) => {
			seen = Buffer.concat([seen, bytes]);
			while (seen.length >= 2 && seen.length >= 2 + seen.readUInt16BE(0)) {
				const end = 2 + seen.readUInt16BE(0);
				const answer = answerOf(seen.subarray(2, end), records);
				seen = seen.subarray(end);
				const length = Buffer.alloc(2);
				length.writeUInt16BE(answer.length);
				socket.write(Buffer.concat([length, answer]));
			}
		});
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return { server, port: (server.address() as AddressInfo).port };
}

function answerOf(query: Buffer, records: string): Buffer {
	const labels: string[] = [];
	let at = 12;
	for (let length = query[at++] ?? 0; length > 0; length = query[at++] ?? 0) {
		labels.push(query.toString("latin1", at, at + length));
		at += length;
	}
	const type = query.readUInt16BE(at);
	const name = labels.join(".").toLowerCase();
	const texts = type === types.txt ? linesOf(records, name) : [];
	const values = texts.map((text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]));
	if (type === types.a) values.push(Buffer.from([127, 0, 0, 1]));
	const head = Buffer.alloc(12);
	query.copy(head, 0, 0, 2);
	head.writeUInt16BE(0x8580, 2);
	head.writeUInt16BE(1, 4);
	head.writeUInt16BE(values.length, 6);
	const answers = values.map((value) => {
		const record = Buffer.alloc(12);
		// The name is the question's.
		record.writeUInt16BE(0xc00c, 0);
		record.writeUInt16BE(type, 2);
		record.writeUInt16BE(1, 4);
		record.writeUInt16BE(value.length, 10);
		return Buffer.concat([record, value]);
	});
	return Buffer.concat([head, query.subarray(12, at + 4), ...answers]);
}

function linesOf(file: string, name: string): string[] {
	if (!existsSync(file)) return [];
	const lines = readFileSync(file, "utf8").split("\n");
	return lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
}
