import { spawnSync } from "node:child_process";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TerminalOfTest } from "../terminal-client.ts";
import { bearer, call, owner } from "../warren-pair.ts";
import { type Machine, type Machines, openMachines } from "./machines.ts";

/** Three machines of one warren; the way to one of them is cut off and given back. */
const edge = {
	WARREN_EDGE: "1",
	WARREN_SIDECAR_PORT: "0",
	WARREN_COORDINATOR_PORT: "0",
	WARREN_STUN_PORT: "0",
	WARREN_BACKBONE_PORT: "0",
};

interface Row {
	readonly id: string;
	readonly name: string;
	readonly reachable: boolean;
	readonly path?: string;
	readonly reachedAt?: string;
	readonly connections?: Record<string, number>;
}

let machines: Machines | undefined;
let missing: string | null = null;
let atlas: StartedNode;
let burrow: StartedNode;
let cellar: StartedNode;
/** Of atlas: a device's credential, and the owner's session. */
let device: string;
let session: string;

beforeAll(async () => {
	machines = openMachines(3);
	if (machines.kind === "loopback") {
		missing = "paths are cut between network namespaces: run as root on Linux";
		return;
	}
	for (const [tool, flag] of [
		["nft", "--version"],
		["tmux", "-V"],
	] as const)
		if (spawnSync(tool, [flag]).status !== 0) missing = `${tool} is not installed`;
	if (missing !== null) return;
	atlas = await startNode({ ...machine(0), command: ["up"], name: "atlas", pin: null, env: edge });
	const setup = { "x-warren-setup": (atlas.setupUrl as string).split("#setup=")[1] as string };
	const facts = { user: "ada", pin: "correct horse", deviceName: "laptop" };
	device = `Bearer ${(await call(atlas, "POST", "/api/setup", setup, facts)).body.token}`;
	session = (await call(atlas, "POST", "/auth/signup", setup, owner)).body.token;
	const code = async () => (await call(atlas, "POST", "/v1/invites", bearer(session), {})).body.code as string;
	const join = async (index: number, name: string) =>
		startNode({
			...machine(index),
			command: ["join", atlas.origin],
			name,
			env: { WARREN_SIDECAR_PORT: "0", WARREN_JOIN_CODE: await code() },
		});
	burrow = await join(1, "burrow");
	cellar = await join(2, "cellar");
}, 240_000);

afterAll(async () => {
	await cellar?.[Symbol.asyncDispose]();
	await burrow?.[Symbol.asyncDispose]();
	await atlas?.[Symbol.asyncDispose]();
	machines?.[Symbol.dispose]();
});

describe("the ways to a machine", () => {
	it("start with a tunnel that is parked at the first machine's backbone, whoever else is reached directly", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await statusWhere(burrow, (roles) => roles["tunnel"] === "running");
		await statusWhere(cellar, (roles) => roles["tunnel"] === "running");
		expect(await rowOf(atlas, "burrow")).toMatchObject({ reachable: true, path: "direct" });
		expect(await rowOf(cellar, "burrow")).toMatchObject({ reachable: true, path: "direct" });
	});

	it("lead through the tunnel when everything else is cut, and a terminal that was open goes on without a lost byte", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { id } = await rowOf(atlas, "burrow");
		const upstream = { authorization: device, "x-mobux-upstream-authorization": burrow.authorization };
		const made = await call(atlas, "POST", `/r/${id}/api/sessions`, upstream, { name: "far" });
		expect([made.status, made.body]).toEqual([201, expect.objectContaining({ name: "far" })]);
		const terminal = new TerminalOfTest(atlas, `/r/${id}/ws/${made.body.id}`, upstream);
		await terminal.run("before");
		expect(await rowOf(atlas, "burrow")).toMatchObject({ path: "direct", connections: { direct: 1 } });

		cutOff(1, burrow.port);
		terminal.type('echo "during"-"the cut"\r');
		await terminal.where(({ output }) => output.includes("during-the cut"));
		await terminal.run("after");
		expect(await rowOf(atlas, "burrow")).toMatchObject({
			reachable: true,
			path: "tunnel",
			connections: { tunnel: 1 },
		});
		// Each line once: nothing was lost on the way, nothing done twice.
		const { text } = (await call(atlas, "GET", `/r/${id}/api/sessions/${made.body.id}/history`, upstream)).body;
		expect((text as string).match(/^\S*during-the cut/gm)).toHaveLength(1);

		// From a machine that is no hub either: end to end, the first machine carries bytes alone.
		expect(await rowOf(cellar, "burrow")).toMatchObject({ reachable: true, path: "tunnel" });
		const further = { authorization: cellar.authorization, "x-mobux-upstream-authorization": burrow.authorization };
		const second = new TerminalOfTest(cellar, `/r/${id}/ws/${made.body.id}`, further);
		await second.run("cellar");

		giveBack(1);
		await eventOf(atlas, async () => (await rowOf(atlas, "burrow")).path === "direct");
		// What runs is left where it runs.
		await terminal.run("again");
		terminal.close();
		second.close();
	}, 240_000);

	it("are no way in for a machine that was removed, and its own tunnel is cut", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { id } = await rowOf(atlas, "burrow");
		const before = JSON.stringify(await rowOf(atlas, "burrow"));
		expect(before).toContain("direct");
		cutOff(1, burrow.port);
		const { machines: rows } = (await call(atlas, "GET", "/v1/machines", bearer(session))).body;
		const cellarId = rows.find((each: { name: string }) => each.name === "cellar").nodeId;
		expect((await call(atlas, "DELETE", `/v1/machines/${cellarId}`, bearer(session))).status).toBe(204);
		await statusWhere(cellar, (roles) => roles["tunnel"] !== "running");
		const away = await call(cellar, "GET", `/r/${id}/api/me`, {
			authorization: cellar.authorization,
			"x-mobux-upstream-authorization": burrow.authorization,
		});
		expect([away.status, away.body.error]).toEqual([502, "upstream_error"]);
		giveBack(1);
	}, 120_000);
});

function machine(index: number): Machine {
	return machines?.all[index] as Machine;
}

async function rowOf(node: StartedNode, name: string): Promise<Row> {
	const { peers } = (await ask(node, "/api/peers")) as { peers: Row[] };
	const row = peers.find((each) => each.name === name);
	if (row === undefined) throw new Error(`no ${name} among ${JSON.stringify(peers)}`);
	return row;
}

const credentialOf = (node: StartedNode) => (node === atlas ? device : node.authorization);
const ask = async (node: StartedNode, path: string) =>
	(await node.fetch(path, { headers: { authorization: credentialOf(node) } })).json();

function statusWhere(node: StartedNode, holds: (roles: Record<string, string>) => boolean): Promise<void> {
	return eventOf(node, async () => {
		const { roles } = (await ask(node, "/api/status")) as { roles: { name: string; state: string }[] };
		return holds(Object.fromEntries(roles.map(({ name, state }) => [name, state])));
	});
}

/** Looks again whenever the machine says that something changed. */
async function eventOf(node: StartedNode, holds: () => Promise<boolean>): Promise<void> {
	const dialled = await dialWebSocket(`${node.origin.replace("https", "wss")}/ws/~events`, systemClock, {
		headers: { authorization: credentialOf(node) },
		tls: { ca: node.ca },
	});
	if (!dialled.ok) throw new Error(dialled.message);
	let changed = Promise.withResolvers<void>();
	dialled.connection.onMessage(() => changed.resolve());
	try {
		while (!(await holds())) {
			await changed.promise;
			changed = Promise.withResolvers<void>();
		}
	} finally {
		dialled.connection.terminate();
	}
}

/** Nothing comes in that did not begin inside: as behind a router without a forwarded port. What was open breaks, too. */
function cutOff(index: number, port: number): void {
	nft(index, "add table inet warren_test");
	nft(index, "add chain inet warren_test in { type filter hook input priority 0; }");
	nft(index, 'add rule inet warren_test in iifname "lo" accept');
	nft(index, "add rule inet warren_test in meta l4proto udp drop");
	nft(index, `add rule inet warren_test in tcp dport ${port} drop`);
	nft(index, "add rule inet warren_test in tcp flags & (syn | ack) == syn drop");
}

function giveBack(index: number): void {
	nft(index, "delete table inet warren_test");
}

function nft(index: number, rule: string): void {
	const [program, ...rest] = [...machine(index).through, "nft", rule];
	const { status, stderr } = spawnSync(program as string, rest, { encoding: "utf8", timeout: 60_000 });
	if (status !== 0) throw new Error(`nft ${rule}: ${stderr}`);
}
