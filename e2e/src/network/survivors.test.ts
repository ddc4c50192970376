import { closeCodes, systemClock } from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection } from "@warren/net";
import { type StartedNode, startNode, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Machine, type Machines, openMachines } from "./machines.ts";

let machines: Machines;
const nodes: Record<string, StartedNode> = {};
beforeAll(async () => {
	machines = openMachines(3);
	await Promise.all(["a", "b", "c"].map(async (name, index) => start(name, machineOf(index))));
});
afterAll(async () => {
	await Promise.all(Object.values(nodes).map((node) => node[Symbol.asyncDispose]()));
	machines[Symbol.dispose]();
});

const machineOf = (index: number) => machines.all[index] as Machine;
async function start(name: string, { host, through }: Machine, more: { port?: number; home?: string } = {}) {
	const node = await startNode({ name, host, through, user: name, pin: `pin-of-${name}-node`, ...more });
	nodes[name] = node;
	return node;
}
const node = (name: string) => nodes[name] as StartedNode;
const upstream = (name: string) => ({ "x-mobux-upstream-authorization": node(name).authorization });
const json = async (answer: Promise<{ json(): Promise<unknown> }>) =>
	(await (await answer).json()) as Record<string, unknown>;

async function addPeer(at: string, peer: string): Promise<string> {
	const { host, port } = node(peer);
	const body = JSON.stringify({ host, port, name: peer });
	const added = await json(
		node(at).fetch("/api/peers", { method: "POST", headers: { "content-type": "application/json" }, body }),
	);
	expect(added).toMatchObject({ name: peer, reachable: true, pin: { fingerprint: node(peer).fingerprint } });
	return added["id"] as string;
}
/** Who answers when `at` is asked to relay to `peer`. */
async function whoIs(at: string, id: string, peer: string) {
	const answer = await node(at).fetch(`/r/${id}/api/me`, { headers: upstream(peer) });
	const body = (await answer.json()) as { node?: { name: string }; error?: string };
	return [answer.status, body.node?.name ?? body.error];
}
async function events(at: string, id: string, peer: string): Promise<WebSocketConnection> {
	const { origin, authorization, ca } = node(at);
	const dialled = await dialWebSocket(`${origin.replace("https", "wss")}/r/${id}/ws/~events`, systemClock, {
		headers: { authorization, ...upstream(peer) },
		tls: { ca },
	});
	if (!dialled.ok) throw new Error(dialled.message);
	return dialled.connection;
}
const nextEvent = (connection: WebSocketConnection, type: string) =>
	new Promise<void>((resolve) =>
		connection.onMessage((data) => {
			if ((JSON.parse(data.toString()) as { type: string }).type === type) resolve();
		}),
	);

describe("three machines", () => {
	it("reach each other through each other, and the survivors go on when one is gone", async () => {
		const ids: Record<string, string> = {};
		for (const at of ["a", "b", "c"])
			for (const peer of ["a", "b", "c"]) if (at !== peer) ids[`${at}→${peer}`] = await addPeer(at, peer);
		for (const path of Object.keys(ids)) {
			const [at = "", peer = ""] = path.split("→");
			expect(await whoIs(at, ids[path] as string, peer), path).toEqual([200, peer]);
		}
		const id = (path: string) => ids[path] as string;

		// A credential of one machine opens no other.
		const wrong = await node("a").fetch(`/r/${id("a→c")}/api/me`, { headers: upstream("a") });
		expect([wrong.status, wrong.headers.get("x-warren-relay")]).toEqual([401, "0"]);

		const throughA = await events("a", id("a→c"), "c");
		const throughB = await events("b", id("b→c"), "c");
		const cut = new Promise<number>((resolve) => throughB.onClose((code) => resolve(code)));
		const { port: portOfB, home: homeOfB } = node("b");
		const firstOfB = node("b");
		await firstOfB.kill("SIGKILL");
		expect(await cut).toBe(1006);

		// C through A as before: the WebSocket did not notice, and what happens on C arrives.
		const heard = nextEvent(throughA, "sessions");
		const made = await node("a").fetch(`/r/${id("a→c")}/api/sessions`, {
			method: "POST",
			headers: { ...upstream("c"), "content-type": "application/json" },
			body: JSON.stringify({ name: "build" }),
		});
		expect([201, 503]).toContain(made.status);
		if (made.status === 201) {
			await heard;
			const { sessions } = await json(node("c").fetch("/api/sessions"));
			expect(sessions).toMatchObject([{ name: "build" }]);
		}
		await throughA.close();
		expect(await whoIs("c", id("c→a"), "a")).toEqual([200, "a"]);

		for (const at of ["a", "c"]) {
			const away = await node(at).fetch(`/r/${id(`${at}→b`)}/api/me`, { headers: upstream("b") });
			expect([away.status, away.headers.get("retry-after")]).toEqual([502, "2"]);
			expect(await away.json()).toMatchObject({
				error: "upstream_error",
				lastSeenAt: expect.any(Number),
				ageMs: expect.any(Number),
			});
			const { peers } = await json(node(at).fetch("/api/peers"));
			expect(peers).toContainEqual(
				expect.objectContaining({ name: "b", reachable: false, error: expect.objectContaining({ code: "refused" }) }),
			);
		}
		const lost = await dialWebSocket(
			`${node("a").origin.replace("https", "wss")}/r/${id("a→b")}/ws/~events`,
			systemClock,
			{
				headers: { authorization: node("a").authorization, ...upstream("b") },
				tls: { ca: node("a").ca },
			},
		);
		if (!lost.ok) throw new Error("a refusal comes as a close code");
		const reason = await new Promise((resolve) => lost.connection.onClose((code, why) => resolve([code, why])));
		expect(reason).toEqual([closeCodes.unavailable, expect.stringContaining('"relay":1')]);

		// B is switched on again: the same certificate, so nobody has to confirm anything.
		const restarted = await start("b", machineOf(1), { port: portOfB, home: homeOfB });
		for (const at of ["a", "c"]) expect(await whoIs(at, id(`${at}→b`), "b"), at).toEqual([200, "b"]);
		expect(await whoIs("b", id("b→c"), "c"), "and it knows its peers").toEqual([200, "c"]);

		// B is reinstalled: a new certificate, which stops everything until somebody says that it is right.
		await restarted[Symbol.asyncDispose]();
		const expected = restarted.fingerprint;
		using home = tempFolder("reinstalled");
		const { fingerprint: actual } = await start("b", machineOf(1), { port: portOfB, home: home.path });
		expect(actual).not.toBe(expected);
		for (const at of ["a", "c"]) {
			const answer = await node(at).fetch(`/r/${id(`${at}→b`)}/api/me`, { headers: upstream("b") });
			expect(answer.status, at).toBe(409);
			expect(await answer.json()).toMatchObject({ error: "pin_mismatch", expected, actual });
		}
		expect((await node("a").fetch(`/api/peers/${id("a→b")}/pin`, { method: "DELETE" })).status).toBe(204);
		const trusted = await node("c").fetch(`/api/peers/${id("c→b")}/pin`, {
			method: "PUT",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ fingerprint: actual }),
		});
		expect(trusted.status).toBe(200);
		for (const at of ["a", "c"]) expect(await whoIs(at, id(`${at}→b`), "b"), at).toEqual([200, "b"]);

		await node("b")[Symbol.asyncDispose]();
		await firstOfB[Symbol.asyncDispose]();
	});
});
