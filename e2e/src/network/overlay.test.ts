import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Machine, type Machines, openMachines } from "./machines.ts";
import { ScriptLines } from "./script-lines.ts";

/** Two machines in namespaces of their own, the overlay on real devices, the coordinator in the first one's edge process. */

interface OverlayStatus {
	readonly ula: string;
	readonly interface: string;
	readonly relay: boolean;
	readonly updated_at: number;
	readonly peers: readonly {
		readonly display_name: string;
		readonly path: string;
		readonly endpoint: { readonly address: string } | null;
	}[];
}

const app = { uuid: "0191e7c2-1111-7222-8333-444455556666", ula: "fd5a:1f02:44a5:240b:121a::1", port: 8730 };
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const pin = { user: "ada", pin: "correct horse" };
const overlay = { WARREN_OVERLAY: "1", WARREN_SIDECAR_PORT: "0" };
/** The slowest of what is waited for, a heartbeat of 30 s, twice, is a minute on a quiet machine. */
const patienceMs = 180_000;

let machines: Machines | undefined;
let atlas: StartedNode;
let burrow: StartedNode;
let echo: ScriptLines;
/** Of atlas: a device's token, and the owner's session. */
let device: string;
let session: string;
let missing = missingHere();

beforeAll(async () => {
	if (missing !== null) return;
	machines = openMachines(2);
	if (machines.kind === "loopback") {
		missing = "no network namespaces can be made here";
		return;
	}
	atlas = await startNode({
		...machine(0),
		command: ["up"],
		name: "atlas",
		pin: null,
		env: { ...overlay, WARREN_EDGE: "1" },
		// On the overlay's address as well.
		args: ["--host", "::"],
	});
	const setup = { authorization: "", "x-warren-setup": (atlas.setupUrl as string).split("#setup=")[1] as string };
	device = (await ask(atlas, "POST", "/api/setup", setup, { ...pin, deviceName: "laptop" })).token;
	session = (await ask(atlas, "POST", "/auth/signup", setup, person)).token;
	const { code } = await ask(atlas, "POST", "/v1/invites", bearer(session), {});
	echo = new ScriptLines(
		machine(1).through,
		`const server = require("node:net").createServer((socket) => socket.on("error", () => {}).pipe(socket));
		server.listen(0, "127.0.0.1", () => console.log(server.address().port));`,
	);
	burrow = await startNode({
		...machine(1),
		command: ["join", atlas.origin],
		name: "burrow",
		env: {
			...overlay,
			WARREN_JOIN_CODE: code,
			WARREN_OVERLAY_APPS: `${app.uuid}=127.0.0.1:${await echo.next()}`,
		},
		args: ["--host", "::"],
	});
}, 240_000);

afterAll(async () => {
	echo?.[Symbol.dispose]();
	await burrow?.[Symbol.asyncDispose]();
	await atlas?.[Symbol.asyncDispose]();
	machines?.[Symbol.dispose]();
});

describe("the overlay of two machines, on real devices", () => {
	it("gives each an address, finds the direct path, and reaches both ways", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const a = await overlayWhere(atlas, pathTo("burrow", "direct"));
		const b = await overlayWhere(burrow, pathTo("atlas", "direct"));
		expect([a.ula, b.ula]).toEqual(["fd5a:1f00:0000:0001::1", "fd5a:1f00:0000:0002::1"]);
		// The coordinator is on atlas and sees it at loopback, which would be burrow itself there.
		expect(a.peers[0]?.endpoint?.address).toBe(burrow.host);
		expect(b.peers[0]?.endpoint?.address).toBe(atlas.host);
		expect(ping(0, b.ula)).toContain(" 0% packet loss");
		expect(ping(1, a.ula)).toContain(" 0% packet loss");
	}, 600_000);

	it("resolves machines and apps by name, at each machine's own responder", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { ula } = await overlayWhere(atlas, pathTo("burrow", "direct"));
		using answers = new ScriptLines(
			machine(0).through,
			`const { Resolver } = require("node:dns").promises;
			const resolver = new Resolver();
			resolver.setServers(["[${ula}]:53"]);
			for (const name of ["atlas", "burrow", "${app.uuid}", "nobody"])
				resolver.resolve6(name + ".warren.internal").then(([found]) => found, ({ code }) => code).then((found) => console.log(name + " " + found));`,
		);
		const got = [await answers.next(), await answers.next(), await answers.next(), await answers.next()];
		expect(got.sort()).toEqual([
			`${app.uuid} ${app.ula}`,
			"atlas fd5a:1f00:0:1::1",
			"burrow fd5a:1f00:0:2::1",
			"nobody ENOTFOUND",
		]);
	});

	it("keeps one TCP connection to an app through a killed coordinator, through the relay, and back", async (test) => {
		test.skip(missing !== null, missing ?? "");
		using stream = new ScriptLines(
			machine(0).through,
			`const socket = require("node:net").connect(${app.port}, "${app.ula}");
			socket.on("connect", () => setInterval(() => socket.write("tick\\n"), 100));
			socket.on("data", (bytes) => process.stdout.write(bytes));
			socket.on("error", (fault) => { throw fault; });
			socket.on("close", () => process.exit(1));`,
		);
		expect(await stream.next()).toBe("tick");

		const before = await coordinatorOf(atlas, () => true);
		process.kill(before, "SIGKILL");
		for (let count = 0; count < 10; count++) await stream.next();
		const after = await coordinatorOf(atlas, (pid) => pid !== before);
		expect(after).not.toBe(before);
		await overlayWhere(atlas, (status) => status.relay && pathTo("burrow", "direct")(status));
		await overlayWhere(burrow, (status) => status.relay && pathTo("atlas", "direct")(status));

		nft(1, "add table inet warren_test");
		nft(1, "add chain inet warren_test in { type filter hook input priority 0; }");
		nft(1, "add chain inet warren_test out { type filter hook output priority 0; }");
		nft(1, "add rule inet warren_test in udp dport 51820 drop");
		nft(1, "add rule inet warren_test out udp dport 51820 drop");
		await overlayWhere(atlas, pathTo("burrow", "relay"));
		await overlayWhere(burrow, pathTo("atlas", "relay"));
		stream.skip();
		for (let count = 0; count < 10; count++) expect(await stream.next()).toBe("tick");

		nft(1, "delete table inet warren_test");
		await overlayWhere(atlas, pathTo("burrow", "direct"));
		await overlayWhere(burrow, pathTo("atlas", "direct"));
		stream.skip();
		for (let count = 0; count < 10; count++) expect(await stream.next()).toBe("tick");
	}, 900_000);

	it("makes an interface anew that somebody has removed: the same app, by a new connection", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { interface: name } = await overlayWhere(burrow, pathTo("atlas", "direct"));
		const before = linkNumber(1, name);
		expect(before).not.toBeNull();
		inMachine(1, "ip", "link", "del", name);
		// Its own status is of the next joiner, with whom the other one has shaken hands.
		await overlayWhere(burrow, (status) => linkNumber(1, name) !== null && pathTo("atlas", "direct")(status));
		expect(linkNumber(1, name)).not.toBe(before);
		await overlayWhere(atlas, pathTo("burrow", "direct"));
		using stream = new ScriptLines(
			machine(0).through,
			`const socket = require("node:net").connect(${app.port}, "${app.ula}", () => socket.end("tick\\n"));
			socket.pipe(process.stdout);`,
		);
		expect(await stream.next()).toBe("tick");
	}, 900_000);

	it("tells every machine's overlay address to the others, who use it where no other one answers", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const [a, b] = ["fd5a:1f00:0:1::1", "fd5a:1f00:0:2::1"];
		await eventually(atlas, async () => {
			const { machines: rows } = await ask(atlas, "GET", "/v1/machines", bearer(session));
			const hosts = (name: string): string[] => rows.find((each: { name: string }) => each.name === name).hosts;
			return hosts("atlas").includes(a) && hosts("burrow").includes(b) ? true : null;
		});
		nft(1, "add table inet warren_test");
		nft(1, "add chain inet warren_test in { type filter hook input priority 0; }");
		nft(1, `add rule inet warren_test in ip daddr ${burrow.host} tcp dport ${burrow.port} reject with tcp reset`);
		const { peers } = await ask(atlas, "GET", "/api/peers", bearer(device));
		expect(peers.find((each: { name: string }) => each.name === "burrow")).toMatchObject({
			reachable: true,
			host: burrow.host,
			reachedAt: `[${b}]:${burrow.port}`,
			trust: "warren",
		});
	}, 600_000);
});

function missingHere(): string | null {
	if (process.platform !== "linux" || process.getuid?.() !== 0) return "the overlay's devices need root on Linux";
	if (!existsSync("/dev/net/tun")) return "there is no /dev/net/tun";
	for (const [tool, flag] of [
		["nft", "--version"],
		["ping", "-V"],
	] as const)
		if (spawnSync(tool, [flag]).status !== 0) return `${tool} is not installed`;
	return null;
}

function machine(index: number): Machine {
	return machines?.all[index] as Machine;
}

function bearer(token: string): Record<string, string> {
	return { authorization: `Bearer ${token}` };
}

async function ask(
	node: StartedNode,
	method: string,
	path: string,
	headers: Record<string, string>,
	body?: object,
): Promise<any> {
	const answer = await node.fetch(path, {
		method,
		headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
	return JSON.parse(text);
}

/** What the joiner writes of itself from now on, once it is so. */
function overlayWhere(node: StartedNode, holds: (status: OverlayStatus) => boolean): Promise<OverlayStatus> {
	const file = join(node.data, "overlay", "status.json");
	const since = Date.now();
	return new Promise((resolve, reject) => {
		let last = "no status";
		const look = () => {
			if (!existsSync(file)) return;
			last = readFileSync(file, "utf8");
			const status = JSON.parse(last) as OverlayStatus;
			if (status.updated_at < since || !holds(status)) return;
			end();
			resolve(status);
		};
		// The whole data folder: the overlay's own may not be there yet.
		const watcher = watch(node.data, { recursive: true }, look);
		const late = setTimeout(() => {
			end();
			reject(new Error(`not so within ${patienceMs} ms: ${last}\n${node.log()}`));
		}, patienceMs);
		const end = () => {
			clearTimeout(late);
			watcher.close();
		};
		look();
	});
}

function pathTo(name: string, path: string) {
	return (status: OverlayStatus) => status.peers.some((peer) => peer.display_name === name && peer.path === path);
}

/** Looks again whenever the machine says that something changed. */
async function eventually<T>(node: StartedNode, look: () => Promise<T | null>): Promise<T> {
	const dialled = await dialWebSocket(`${node.origin.replace("https", "wss")}/ws/~events`, systemClock, {
		headers: bearer(device),
		tls: { ca: node.ca },
	});
	if (!dialled.ok) throw new Error(dialled.message);
	let changed = Promise.withResolvers<void>();
	dialled.connection.onMessage(() => changed.resolve());
	try {
		for (;;) {
			const found = await look();
			if (found !== null) return found;
			await changed.promise;
			changed = Promise.withResolvers<void>();
		}
	} finally {
		dialled.connection.terminate();
	}
}

function coordinatorOf(node: StartedNode, holds: (pid: number) => boolean): Promise<number> {
	return eventually(node, async () => {
		const { roles } = await ask(node, "GET", "/api/status", bearer(device));
		const role = roles.find((each: { name: string }) => each.name === "coordinator");
		return role?.state === "running" && holds(role.pid) ? (role.pid as number) : null;
	});
}

function ping(index: number, ula: string): string {
	const [program, ...rest] = [...machine(index).through, "ping", "-6", "-c", "3", "-i", "0.2", "-W", "20", ula];
	return spawnSync(program as string, rest, { encoding: "utf8", timeout: 60_000 }).stdout;
}

function nft(index: number, rule: string): void {
	inMachine(index, "nft", rule);
}

function inMachine(index: number, ...command: readonly string[]): string {
	const [program, ...rest] = [...machine(index).through, ...command];
	const { status, stdout, stderr } = spawnSync(program as string, rest, { encoding: "utf8", timeout: 60_000 });
	if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
	return stdout;
}

/** What the kernel counts interfaces by: one that is made anew has another. Null = there is none of this name. */
function linkNumber(index: number, name: string): string | null {
	return new RegExp(`^(\\d+): ${name}:`, "m").exec(inMachine(index, "ip", "-o", "link"))?.[1] ?? null;
}
