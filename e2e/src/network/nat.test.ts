import { mkdirSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { certificateFlags, writeCertificates } from "./lab-certificates.ts";
import { type LabHost, type LabRouter, NatLab } from "./nat-lab.ts";
import { OverlayMachine, pathTo, RunningProcess } from "./overlay-machine.ts";
import { ScriptLines } from "./script-lines.ts";

/**
 * ```
 *   north, sibling ─ router (cone) ──────┐            ┌── coordinator, spare
 *             east ─ router (cone) ──────┤  internet  ├── open (v4, v6)
 *         hard-one ─ router (symmetric) ─┤            └── six (v6 alone)
 *         hard-two ─ router (symmetric) ─┘
 * ```
 */
const names = ["north", "sibling", "east", "hard-one", "hard-two", "open", "six"] as const;
type Name = (typeof names)[number];
const behindNats = ["north", "sibling", "east", "hard-one", "hard-two"] as const;

const missing = NatLab.missing();
let lab: NatLab;
let folder: ReturnType<typeof tempFolder>;
let routers: Record<"north" | "east" | "hard-one" | "hard-two", LabRouter>;
let coordinatorHost: LabHost;
let spareHost: LabHost;
let coordinator: RunningProcess;
const hosts = {} as Record<Name, LabHost>;
const machines = {} as Record<Name, OverlayMachine>;
const echoes = new Map<Name, ScriptLines>();

beforeAll(async () => {
	if (missing !== null) return;
	lab = new NatLab();
	folder = tempFolder("nat");
	coordinatorHost = lab.public("coordinator");
	spareHost = lab.public("spare");
	routers = {
		north: lab.router("r-north", "cone"),
		east: lab.router("r-east", "cone"),
		"hard-one": lab.router("r-one", "symmetric"),
		"hard-two": lab.router("r-two", "symmetric"),
	};
	for (const name of ["north", "east", "hard-one", "hard-two"] as const) hosts[name] = lab.behind(routers[name], name);
	hosts.sibling = lab.behind(routers.north, "sibling");
	hosts.open = lab.public("open");
	hosts.six = lab.public("six", ["v6"]);
	await writeCertificates(folder.path, [coordinatorHost, spareHost], names);
	writeFileSync(folder.file("acl.json"), '{"acls":[{"action":"accept","src":["*"],"dst":["*"]}]}');
	coordinator = await startCoordinator(coordinatorHost);
	await Promise.all(names.map(async (name) => void (machines[name] = await join(name))));
}, 300_000);

afterAll(async () => {
	for (const echo of echoes.values()) echo[Symbol.dispose]();
	await Promise.all(Object.values(machines).map((each) => each[Symbol.asyncDispose]()));
	await coordinator?.[Symbol.asyncDispose]();
	lab?.[Symbol.dispose]();
	folder?.[Symbol.dispose]();
});

describe("the overlay across NATs", () => {
	beforeEach((context) => context.skip(missing !== null, missing ?? ""));

	it("P1 goes directly from cone NAT to cone NAT, and to whoever is public from behind any", async () => {
		const { north, east, open } = machines;
		const at = (name: "north" | "east") => routers[name].v4 as string;
		await Promise.all([
			north.where((status) => status.nat === "easy" && pathTo("east", "direct", at("east"))(status)),
			east.where((status) => status.nat === "easy" && pathTo("north", "direct", at("north"))(status)),
			...behindNats.map((name) => machines[name].where(pathTo("open", "direct", hosts.open.v4 as string))),
			...behindNats.map((name) => open.where(pathTo(name, "direct"))),
		]);
		expect(lab.ping(hosts.north, east.ula)).toBe(100);
		expect(lab.ping(hosts["hard-one"], open.ula)).toBe(100);
	}, 300_000);

	it("P2 goes by the relay from symmetric NAT to symmetric NAT, and says so", async () => {
		const [one, two] = [machines["hard-one"], machines["hard-two"]];
		await Promise.all([
			one.where((status) => status.nat === "hard" && pathTo("hard-two", "relay")(status)),
			two.where((status) => status.nat === "hard" && pathTo("hard-one", "relay")(status)),
		]);
		expect(lab.ping(one.host, two.ula)).toBe(100);
		expect(await echoed("hard-one", "hard-two", 2_000_000)).toBe(2_000_000);
	}, 300_000);

	it("P3 meets inside one NAT, though every network behind one has the same addresses", async () => {
		await Promise.all([
			machines.north.where(pathTo("sibling", "direct", "192.168.2.2")),
			machines.sibling.where(pathTo("north", "direct", "192.168.1.2")),
		]);
	}, 300_000);

	it("reaches a host without v4 directly by v6, and those without v6 by the relay", async () => {
		await Promise.all([
			machines.six.where(pathTo("open", "direct", hosts.open.v6 as string)),
			machines.six.where(pathTo("north", "relay")),
		]);
		expect(lab.ping(hosts.six, machines.open.ula)).toBe(100);
		expect(lab.ping(hosts.six, machines.north.ula)).toBe(100);
	}, 300_000);

	it("P4 keeps one TCP connection from direct to relay and back to direct", async () => {
		using stream = await ticks("north", "east");
		lab.cut(routers.north, routers.east);
		await Promise.all([machines.north.where(pathTo("east", "relay")), machines.east.where(pathTo("north", "relay"))]);
		await goesOn(stream);
		lab.mend();
		await Promise.all([machines.north.where(pathTo("east", "direct")), machines.east.where(pathTo("north", "direct"))]);
		await goesOn(stream);
	}, 300_000);

	it("leaves the relay when two behind symmetric NATs both get v6, through firewalls that let nothing new in", async () => {
		using stream = await ticks("hard-one", "hard-two");
		const one = lab.giveV6(routers["hard-one"], hosts["hard-one"]);
		const two = lab.giveV6(routers["hard-two"], hosts["hard-two"]);
		await Promise.all([
			machines["hard-one"].where(pathTo("hard-two", "direct", two)),
			machines["hard-two"].where(pathTo("hard-one", "direct", one)),
		]);
		await goesOn(stream);
	}, 300_000);

	it("P15 follows a machine whose router gets another public address, under one TCP connection", async () => {
		using stream = await ticks("open", "east");
		const now = lab.renumber(routers.east);
		await machines.open.where(pathTo("east", "direct", now));
		await goesOn(stream);
	}, 300_000);

	it("J5 moves to the spare coordinator when the first is killed, and back when it is there again, under one TCP connection", async (context) => {
		context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "it waits for heartbeats: WARREN_LONG_TESTS=1 runs it");
		const [first, spare] = [coordinatorHost, spareHost].map((host) => `https://${host.v4}:8888`);
		const all = names.filter((name) => name !== "six");
		const addresses = names.map((name) => machines[name].ula);
		using direct = await ticks("north", "east");
		await using second = await startCoordinator(spareHost);
		await coordinator.end("SIGKILL");
		await Promise.all(
			all.map((name) => machines[name].where((status) => status.coordinator === spare && status.relay)),
		);
		await goesOn(direct);
		coordinator = await startCoordinator(coordinatorHost);
		await Promise.all(
			all.map((name) => machines[name].where((status) => status.coordinator === first && status.relay)),
		);
		await goesOn(direct);
		await second.end("SIGTERM");
		// Both gave each machine the address that it had.
		const now = await Promise.all(names.map((name) => machines[name].where((status) => status.connected)));
		expect(now.map((status) => status.ula)).toEqual(addresses);
		expect(lab.ping(hosts.six, machines.north.ula)).toBe(100);
	}, 300_000);

	it("P10 carries TCP where the way outside takes 1280 bytes: in fragments, and by the relay where those are dropped", async () => {
		lab.setMtu(routers.north, 1280);
		expect(await echoed("north", "open", 500_000)).toBe(500_000);
		lab.dropFragments();
		await Promise.all([machines.north.where(pathTo("open", "relay")), machines.open.where(pathTo("north", "relay"))]);
		expect(await echoed("north", "open", 500_000)).toBe(500_000);
		expect(await echoed("open", "north", 500_000)).toBe(500_000);
	}, 300_000);
});

function startCoordinator(host: LabHost): Promise<RunningProcess> {
	return RunningProcess.start(host, folder.path, [
		...["coordinator", "--bind", "[::]:8888", "--policy-file", folder.file("acl.json")],
		...certificateFlags(folder.path, host.name),
	]);
}

function join(name: Name): Promise<OverlayMachine> {
	const urls = [coordinatorHost, spareHost].map((host) =>
		name === "six" ? `https://[${host.v6}]:8888` : `https://${host.v4}:8888`,
	);
	const data = folder.file(`data-${name}`);
	mkdirSync(data, { recursive: true });
	return OverlayMachine.join(hosts[name], data, [
		...urls.flatMap((url) => ["--coordinator", url]),
		...certificateFlags(folder.path, name),
	]);
}

/** Sends back what it gets, on a machine's overlay address; started when it is first needed. */
async function echoOn(name: Name): Promise<string> {
	const { ula } = machines[name];
	if (echoes.has(name)) return ula;
	const script = `require("node:net").createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(7000, "${ula}", () => console.log("ready"));`;
	const echo = new ScriptLines(hosts[name].through, script);
	echoes.set(name, echo);
	await echo.next();
	return ula;
}

/** One TCP connection that says "tick" ten times a second and hears it back, for as long as it holds. */
async function ticks(from: Name, to: Name): Promise<ScriptLines> {
	const lines = new ScriptLines(
		hosts[from].through,
		`const socket = require("node:net").connect(7000, "${await echoOn(to)}");
		socket.on("connect", () => setInterval(() => socket.write("tick\\n"), 100));
		socket.on("data", (bytes) => process.stdout.write(bytes));
		socket.on("error", (fault) => { throw fault; });
		socket.on("close", () => process.exit(1));`,
	);
	expect(await lines.next()).toBe("tick");
	return lines;
}

/** The same connection still carries what is said from now on. */
async function goesOn(stream: ScriptLines): Promise<void> {
	stream.skip();
	for (let count = 0; count < 10; count++) expect(await stream.next()).toBe("tick");
}

/** @returns how many bytes came back of as many that were sent, by one TCP connection. */
async function echoed(from: Name, to: Name, bytes: number): Promise<number> {
	using answer = new ScriptLines(
		hosts[from].through,
		`const socket = require("node:net").connect(7000, "${await echoOn(to)}");
		let got = 0;
		socket.end(Buffer.alloc(${bytes}, 7));
		socket.on("data", (part) => { got += part.length; });
		socket.on("end", () => console.log(got));`,
	);
	return Number(await answer.next());
}
