import { type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { stockClient } from "../stock-client.ts";
import { TerminalOfTest } from "../terminal-client.ts";
import { bearer, call, owner } from "../warren-pair.ts";
import { type Machine, type Machines, openMachines } from "./machines.ts";

/**
 * The outage promise: whichever machine is gone, from any other's URL, on a device that was enrolled there, every other's
 * terminal works, documents go on, and when it is back everything merges.
 */
const names = ["atlas", "burrow", "cellar", "den"] as const;
const patient = { timeout: 60_000, interval: 100 };
type Name = (typeof names)[number];
let machines: Machines | undefined;
let missing: string | null = null;
const nodes = new Map<Name, StartedNode>();
/** Each machine's own device token: on another machine it opens nothing. */
const devices = new Map<Name, string>();
const sessions = new Map<Name, string>();
const peerIds = new Map<string, string>();
let account: string;
const opened: Disposable[] = [];

beforeAll(async () => {
	machines = openMachines(names.length);
	if (machines.kind === "loopback") {
		missing = "machines are killed in network namespaces of their own: run as root on Linux";
		return;
	}
	const atlas = await start("atlas", { command: ["up"], pin: null });
	const setup = { "x-warren-setup": (atlas.setupUrl as string).split("#setup=")[1] as string };
	const facts = { user: "ada", pin: "correct horse", deviceName: "phone" };
	devices.set("atlas", (await call(atlas, "POST", "/api/setup", setup, facts)).body.token);
	account = (await call(atlas, "POST", "/auth/signup", setup, owner)).body.token;
	for (const name of names.slice(1)) {
		const { code } = (await call(atlas, "POST", "/v1/invites", bearer(account), {})).body;
		const node = await start(name, { command: ["join", atlas.origin], env: { WARREN_JOIN_CODE: code } });
		const own = { authorization: node.authorization };
		devices.set(name, (await call(node, "POST", "/api/devices", own, { name: "phone" })).body.token);
	}
	for (const [name, node] of nodes) {
		const made = await call(node, "POST", "/api/sessions", device(name), { name: `on-${name}` });
		if (made.status === 503) {
			missing = "tmux is not installed";
			return;
		}
		sessions.set(name, made.body.id);
	}
	for (const [at, node] of nodes) {
		// Whoever came after it is heard of a moment later.
		await vi.waitFor(async () => {
			const { peers } = (await call(node, "GET", "/api/peers", device(at))).body;
			for (const { name, id } of peers as { name: string; id: string }[]) peerIds.set(`${at} ${name}`, id);
			for (const to of names) if (to !== at) expect(peerIds.has(`${at} ${to}`), `${at} knows ${to}`).toBe(true);
		}, patient);
	}
}, 240_000);

afterAll(async () => {
	for (const each of opened.splice(0)) each[Symbol.dispose]();
	await Promise.all([...nodes.values()].map((node) => node[Symbol.asyncDispose]()));
	machines?.[Symbol.dispose]();
});

describe("a warren of four machines", () => {
	it("goes on without any one of them, and merges when it is back", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const documents = new Map(names.map((name) => [name, document(name)]));
		documents.get("atlas")?.doc.getText("t").insert(0, "begin ");
		for (const client of documents.values()) await client.when((text) => text.includes("begin "));
		for (const name of names.slice(1)) await hasCopies(name);
		const terminals = new Map(pairs(names).map(([at, to]) => [`${at} ${to}`, terminal(at, to)]));
		for (const [pair, each] of terminals) await each.run(pair.replace(" ", "-to-"));

		for (const victim of names) {
			await node(victim).kill("SIGKILL");
			const survivors = names.filter((name) => name !== victim);
			await Promise.all(
				pairs(survivors).map(([at, to]) =>
					(terminals.get(`${at} ${to}`) as TerminalOfTest).run(`${at}-to-${to}-without-${victim}`),
				),
			);
			// From a page that is opened only now, too.
			for (const [at, to] of pairs(survivors).slice(0, 2)) {
				const fresh = terminal(at, to);
				await fresh.run(`anew-${at}-without-${victim}`);
				fresh.close();
			}
			for (const name of survivors) {
				const { doc } = documents.get(name) as {
					doc: { getText(of: string): { insert(at: number, text: string): void } };
				};
				doc.getText("t").insert(0, `${name}-without-${victim} `);
			}
			const { port, home } = node(victim);
			await start(victim, { command: ["up"], port, home, ...(victim === "atlas" ? { pin: null } : {}) });
			const words = survivors.map((name) => `${name}-without-${victim} `);
			for (const client of documents.values()) await client.when((text) => words.every((word) => text.includes(word)));
			for (const other of survivors) {
				for (const key of [`${victim} ${other}`, `${other} ${victim}`]) {
					terminals.get(key)?.close();
					const [at, to] = key.split(" ") as [Name, Name];
					const again = terminal(at, to);
					terminals.set(key, again);
					await again.run(`${at}-to-${to}-after-${victim}`);
				}
			}
		}
		const texts = [...documents.values()].map((client) => client.text());
		expect(new Set(texts).size).toBe(1);
		for (const each of terminals.values()) each.close();
	}, 240_000);
});

async function start(name: Name, options: Parameters<typeof startNode>[0]): Promise<StartedNode> {
	const { host, through } = (machines as Machines).all[names.indexOf(name)] as Machine;
	const env = { WARREN_SIDECAR_PORT: "0", ...options?.env };
	const started = await startNode({ user: name, pin: `pin-of-${name}`, ...options, host, through, name, env });
	nodes.set(name, started);
	return started;
}

function node(name: Name): StartedNode {
	return nodes.get(name) as StartedNode;
}

function device(name: Name): Record<string, string> {
	return bearer(devices.get(name) as string);
}

/** A machine's terminal as a page of another machine shows it. */
function terminal(at: Name, to: Name): TerminalOfTest {
	const path = `/r/${peerIds.get(`${at} ${to}`)}/ws/${sessions.get(to)}`;
	const upstream = { "x-mobux-upstream-authorization": `Bearer ${devices.get(to)}` };
	const each = new TerminalOfTest(node(at), path, { ...device(at), ...upstream });
	opened.push({ [Symbol.dispose]: () => each.close() });
	return each;
}

function document(name: Name): ReturnType<typeof stockClient> {
	const client = stockClient(node(name), "notes", account);
	opened.push(client);
	return client;
}

/** The machine's own sidecar has taken the session over, and keeps the documents in step. */
async function hasCopies(name: Name): Promise<void> {
	const sockets = async () =>
		Number(
			(await (await node(name).fetch("/metrics", { headers: device(name) })).text()).match(
				/^warren_sync_sockets (\d+)/m,
			)?.[1],
		);
	await expect.poll(sockets, patient).toBeGreaterThan(0);
}

function pairs(of: readonly Name[]): [Name, Name][] {
	return of.flatMap((at) => of.filter((to) => to !== at).map((to): [Name, Name] => [at, to]));
}
