import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { commandEnvironment, type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bearer, call, owner } from "../warren-pair.ts";
import { type Machine, type Machines, openMachines } from "./machines.ts";
import { ScriptLines } from "./script-lines.ts";

/** `warren expose` on one machine of three: its name and address on every other, off again, and on the next machine. */
const main = fileURLToPath(new URL("../../../apps/warren/src/main.js", import.meta.url));
const patience = { timeout: 60_000, interval: 500 };
const env = { WARREN_OVERLAY: "1", WARREN_SIDECAR_PORT: "0" };

let missing = existsSync("/dev/net/tun") ? null : "no /dev/net/tun";
let machines: Machines | undefined;
let atlas: StartedNode;
let burrow: StartedNode;
let cellar: StartedNode;
const services: ScriptLines[] = [];

beforeAll(async () => {
	if (missing !== null) return;
	machines = openMachines(3);
	if (machines.kind === "loopback") {
		missing = "the overlay needs network namespaces: run as root on Linux";
		return;
	}
	atlas = await startNode({
		...machine(0),
		command: ["up"],
		name: "atlas",
		pin: null,
		env: { ...env, WARREN_EDGE: "1" },
	});
	const setup = { "x-warren-setup": (atlas.setupUrl as string).split("#setup=")[1] as string };
	const session = (await call(atlas, "POST", "/auth/signup", setup, owner)).body.token as string;
	const join_ = async (index: number, name: string) => {
		const { code } = (await call(atlas, "POST", "/v1/invites", bearer(session), {})).body as { code: string };
		const command = ["join", atlas.origin] as const;
		return startNode({ ...machine(index), command, name, env: { ...env, WARREN_JOIN_CODE: code } });
	};
	burrow = await join_(1, "burrow");
	cellar = await join_(2, "cellar");
}, 180_000);

afterAll(async () => {
	for (const each of services) each[Symbol.dispose]();
	for (const node of [cellar, burrow, atlas]) await node?.[Symbol.asyncDispose]();
	machines?.[Symbol.dispose]();
});

describe("the name of an exposed service", () => {
	it("leads to it from every machine of the warren, and nowhere once it is taken off", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const everywhere = [0, 1, 2];
		for (const node of [atlas, burrow, cellar])
			await expect.poll(() => existsSync(join(node.data, "overlay", "status.json")), patience).toBe(true);
		const exposed = await expose(1, "wiki", await serve(1, "from burrow"));
		expect(exposed.overlay).toMatchObject({ host: "wiki.warren.internal", port: 8730 });
		for (const at of everywhere)
			await expect.poll(() => read(at, "wiki"), patience).toEqual([exposed.overlay.address, "from burrow"]);

		const said = await warren(1, "expose");
		expect(said).toContain("wiki.warren.internal:8730");
		await warren(1, "expose", "wiki", "--off");
		for (const at of everywhere) await expect.poll(() => read(at, "wiki"), patience).toEqual(["ENOTFOUND"]);

		const moved = await expose(0, "wiki", await serve(0, "from atlas"));
		expect(moved.overlay).toEqual(exposed.overlay);
		for (const at of everywhere)
			await expect.poll(() => read(at, "wiki"), patience).toEqual([exposed.overlay.address, "from atlas"]);
	}, 240_000);

	it("is not shown where a machine is called so: that one answers to it", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await expect
			.poll(async () => (await expose(1, "cellar", await serve(1, "shadow"))).overlay.host, patience)
			.toBeNull();
		await expect.poll(async () => (await read(0, "cellar"))[0], patience).toBe(compressed(ulaOf(cellar)));
		expect(await warren(1, "expose", "cellar", "1")).not.toContain("cellar.warren.internal");
	}, 120_000);
});

function machine(index: number): Machine {
	return machines?.all[index] as Machine;
}

/** A service of its own on that machine's loopback. @returns its port. */
async function serve(index: number, text: string): Promise<number> {
	const service = new ScriptLines(
		machine(index).through,
		`const server = require("node:http").createServer((_, answer) => answer.end(${JSON.stringify(text)}));
		server.listen(0, "127.0.0.1", () => console.log(server.address().port));`,
	);
	services.push(service);
	return Number(await service.next());
}

interface Shown {
	readonly overlay: { readonly address: string; readonly port: number; readonly host: string | null };
}

const expose = async (index: number, name: string, port: number): Promise<Shown> =>
	JSON.parse(await warren(index, "expose", name, String(port), "--json")) as Shown;

async function warren(index: number, ...args: string[]): Promise<string> {
	const node = [atlas, burrow, cellar][index] as StartedNode;
	const [program, ...rest] = [...machine(index).through, process.execPath, main, ...args, "--data", node.data];
	const done = await run(program as string, rest, {
		timeoutMs: 60_000,
		env: commandEnvironment(node.home),
	});
	if (done.outcome !== "exited") throw new Error(done.message);
	if (done.code !== 0) throw new Error(`warren ${args.join(" ")}: ${done.stderr}`);
	return done.stdout;
}

/** What the name leads to on that machine: its address, and what answers there; or why there is none. */
async function read(index: number, name: string): Promise<string[]> {
	const dns = ulaOf([atlas, burrow, cellar][index] as StartedNode);
	const script = `
		const resolver = new (require("node:dns/promises").Resolver)({ timeout: 5000, tries: 1 });
		resolver.setServers(["[${dns}]:53"]);
		(async () => {
			const [address] = await resolver.resolve6("${name}.warren.internal");
			const answer = await fetch("http://[" + address + "]:8730/", { signal: AbortSignal.timeout(5000) }).then((each) => each.text(), (fault) => fault.cause?.code ?? fault.name);
			return [address, answer];
		})().catch((fault) => [fault.code]).then((read) => console.log(JSON.stringify(read)));`;
	const [program, ...rest] = [...machine(index).through, process.execPath, "-e", script];
	const done = await run(program as string, rest, { timeoutMs: 30_000, env: {} });
	if (done.outcome !== "exited") return [done.message];
	return JSON.parse(done.stdout) as string[];
}

function ulaOf(node: StartedNode): string {
	return (JSON.parse(readFileSync(join(node.data, "overlay", "status.json"), "utf8")) as { ula: string }).ula;
}

const compressed = (ula: string) => new URL(`http://[${ula}]`).hostname.slice(1, -1);
