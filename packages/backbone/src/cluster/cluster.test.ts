import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { Lifetime } from "@warren/kernel";
import { RawClient, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { masterSecret, SharedState, TestBackbone } from "../backbone.testing.ts";
import { deriveHopKey, hopChallengeHeader, hopHeader, hopProofHeader, signHop } from "../protocol/hop-envelope.ts";
import { parseCredential, signAssertion } from "../protocol/tokens.ts";
import { agentKey, leaseLimits, nodeKey } from "./node-lease.ts";

let lifetime: Lifetime;
let shared: SharedState;
let nodes: TestBackbone[];
beforeEach(async () => {
	lifetime = new Lifetime();
	shared = lifetime.own(await SharedState.open());
	nodes = [];
	for (const nodeId of ["one", "two", "three"]) {
		const node = await TestBackbone.open({ nodeId, cluster: { url: null, ca: null } }, shared);
		lifetime.defer(() => node[Symbol.asyncDispose]());
		nodes.push(node);
	}
});
afterEach(() => lifetime.close());

const at = (index: number) => nodes[index] as TestBackbone;
const get = (extra = "", host = "web.mos.test") =>
	`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${extra}\r\n`;
const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);

/** An agent at one node; resolves when all nodes know its route. */
async function agentAt(index: number, name: string, kind: "http" | "h2" | "tcp" | "udp" = "http", port?: number) {
	const target =
		port ?? (await at(index).http((request, response) => response.end(JSON.stringify([name, request.headers])))).port;
	await at(index).agent("web", target, { kind, token: await at(index).token("web", kind) });
	for (const node of nodes) await known(node, index);
}
/** The route to the agents at a node is known at another: told by the registry's own watch. */
async function known(node: TestBackbone, index: number): Promise<void> {
	await expect
		.poll(async () => {
			const { json } = await node.api("GET", "/admin/api/services");
			const [web] = json.services as { agents: unknown[]; agents_elsewhere?: { node: string }[] }[];
			return node === at(index)
				? (web?.agents.length ?? 0) > 0
				: (web?.agents_elsewhere ?? []).some((each) => each.node === ["one", "two", "three"][index]);
		})
		.toBe(true);
}
const askAt = (index: number, extra = "") => RawClient.exchange({ port: at(index).port }, get(extra));

describe("a cluster of backbones", () => {
	it("N3: a client at any node reaches an agent at any other, with who it is, judged where it came in", async () => {
		await agentAt(0, "at one");
		const ada = await at(1).principal("web");
		for (const index of [0, 1, 2]) {
			const text = await askAt(index, `x-backbone-principal: ${ada.credential}\r\nx-mosb-sub: forged\r\n`);
			expect(statusOf(text)).toBe(200);
			const [name, headers] = JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) as [string, Record<string, string>];
			expect(name).toBe("at one");
			expect(headers["x-mosb-sub"]).toBe(ada.id);
			expect(headers).not.toHaveProperty("x-backbone-principal");
			expect(headers).not.toHaveProperty(hopHeader);
			expect(statusOf(await askAt(index, "x-backbone-principal: mosb_pr_nobody\r\n"))).toBe(401);
		}
	});

	it("N3: TCP, UDP and HTTP/2 cross the hop too", async () => {
		const portOf = async (service: string) => {
			const { json } = await at(2).api("GET", "/admin/api/services");
			const found = (json.services as { service: string; port: number | null; agents_elsewhere?: object[] }[]).find(
				(each) => each.service === service && each.agents_elsewhere !== undefined,
			);
			return found?.port ?? 0;
		};
		// Made at node three, which has the port then; the agent hangs at node one.
		const echo = await at(0).tcp((socket) => socket.pipe(socket));
		await at(0).agent("echo", echo.port, { token: await at(2).token("echo", "tcp") });
		await expect.poll(() => portOf("echo")).toBeGreaterThan(0);
		using client = await RawClient.open({ port: await portOf("echo") });
		client.send("over tcp");
		expect(await client.until(/over tcp/)).toBe("over tcp");

		const target = createSocket("udp4");
		await new Promise<void>((resolve) => target.bind(0, "127.0.0.1", () => resolve()));
		lifetime.defer(() => new Promise<void>((resolve) => target.close(() => resolve())));
		target.on("message", (datagram, from) => target.send(datagram, from.port, from.address));
		await at(0).agent("dgram", target.address().port, { token: await at(2).token("dgram", "udp") });
		await expect.poll(() => portOf("dgram")).toBeGreaterThan(0);
		const udp = createSocket("udp4");
		lifetime.defer(() => new Promise<void>((resolve) => udp.close(() => resolve())));
		const large = Buffer.alloc(9_000, "d");
		udp.send(large, await portOf("dgram"), "127.0.0.1");
		const [answer] = (await once(udp, "message")) as [Buffer];
		expect(answer.equals(large), "one datagram, whole").toBe(true);

		const h2 = createHttp2Server((_request, response) => {
			response.addTrailers({ "grpc-status": "0" });
			response.end("over h2");
		});
		await new Promise<void>((resolve) => h2.listen(0, "127.0.0.1", resolve));
		lifetime.defer(() => new Promise<void>((resolve) => h2.close(() => resolve())));
		const h2Token = await at(0).token("grpc", "h2");
		await at(0).agent("grpc", (h2.address() as AddressInfo).port, { token: h2Token });
		await expect
			.poll(async () => JSON.stringify((await at(2).api("GET", "/admin/api/services")).json))
			.toContain('"agents_elsewhere":[{"service":"grpc"');
		const session = connectHttp2(`http://127.0.0.1:${at(2).port}`);
		lifetime.defer(() => session.destroy());
		const stream = session.request({ ":path": "/", ":authority": "grpc.mos.test" });
		let body = "";
		stream.setEncoding("utf8").on("data", (text: string) => (body += text));
		const [trailers] = await once(stream, "trailers");
		expect(trailers["grpc-status"]).toBe("0");
		await once(stream, "close");
		expect(body).toBe("over h2");
	});

	it("N1: an envelope is taken once, for its node, its epoch and its service, with a fresh challenge", async () => {
		await agentAt(0, "at one");
		const key = deriveHopKey(masterSecret);
		const { json } = await at(0).api("GET", "/admin/api/cluster");
		const { epoch } = (json.nodes as { node: string; epoch: number }[]).find((each) => each.node === "one") as never;
		const hop = async (change: object, header?: string) => {
			const envelope = { hop: 1, from: "two", to: "one", epoch, service: "web", nonce: `${Math.random()}`, ...change };
			const text = header ?? signHop(key, envelope as never);
			using client = await RawClient.open({ port: at(0).port });
			client.send(
				`GET /hop/web HTTP/1.1\r\nHost: mos.test\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\n${hopHeader}: ${text}\r\n\r\n`,
			);
			const seen = await client.until(/\r\n\r\n/);
			return {
				status: statusOf(seen),
				challenge: new RegExp(`${hopChallengeHeader}: (\\S+)`).exec(seen)?.[1],
				seen,
				text,
			};
		};
		const strange = await hop({}, "bm9uZQ.bm9uZQ");
		expect([strange.status, strange.challenge], "strangers learn nothing").toEqual([401, undefined]);
		const old = await hop({ challenge: "of yesterday" });
		expect(old.status).toBe(401);
		const { challenge } = old;
		const good = await hop({ challenge });
		expect([good.status, good.seen]).toEqual([101, expect.stringContaining(hopProofHeader)]);
		expect((await hop({}, good.text)).status, "replayed").toBe(401);
		expect((await hop({ challenge, to: "three" })).status, "of another node").toBe(409);
		expect((await hop({ challenge, epoch: epoch - 1 })).status, "of an earlier life").toBe(409);
		expect((await hop({ challenge, service: "other" })).status, "of another service").toBe(409);
		expect((await hop({ challenge, hop: 2 })).status, "of a second hop").toBe(401);
	});

	it("N4: what came over a hop goes no further, though other nodes have agents", async () => {
		await agentAt(0, "at one");
		await agentAt(1, "at two");
		const seen = new Set<string>();
		for (let each = 0; each < 6; each++) {
			const text = await askAt(0);
			seen.add(JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4))[0]);
		}
		expect([...seen], "a node's own agents come first").toEqual(["at one"]);
		// Node one's own agent leaves: node three still may ask it, and is told that there is none.
		at(0).backbone.services.list();
		const { json } = await at(0).api("GET", "/admin/api/tokens");
		const [first] = json.tokens as { id: string }[];
		await at(0).api("DELETE", `/admin/api/tokens/${first?.id}`);
		await expect.poll(() => askAt(0)).toMatch(/at two/);
		expect(await askAt(2)).toMatch(/at two/);
	});

	it("a principal, a grant and a token that one node takes away count at all of them at once, open sockets too", async () => {
		const { port } = await at(0).http((_request, response) => {
			response.write("begun");
		});
		await at(0).agent("web", port, { token: await at(0).token("web") });
		for (const node of nodes) await known(node, 0);
		const ada = await at(1).principal("web");
		const open = await Promise.all(
			[0, 1, 2].map(async (index) => {
				const client = await RawClient.open({ port: at(index).port });
				client.send(get(`x-backbone-principal: ${ada.credential}\r\n`));
				await client.until(/begun/);
				return client;
			}),
		);
		await at(2).api("DELETE", `/admin/api/grants/${ada.id}/web`);
		await Promise.all(open.map((client) => client.closed()));
		for (const index of [0, 1, 2])
			expect(statusOf(await askAt(index, `x-backbone-principal: ${ada.credential}\r\n`))).toBe(403);
	});

	it.each(["GET", "POST"])(
		"a crowd at a node without agents is answered whole, %s, while the agents' own nodes are busy too",
		async (method) => {
			await agentAt(0, "at one");
			await agentAt(1, "at two");
			const asked = get()
				.replace("GET", method)
				.replace("Connection: close\r\n", method === "POST" ? "Content-Length: 0\r\n" : "");
			const clients = await Promise.all(
				Array.from({ length: 90 }, (_each, n) => RawClient.open({ port: at(n % 3).port })),
			);
			try {
				for (let round = 1; round <= 4; round++) {
					await Promise.all(
						clients.map((client) => {
							client.send(asked);
							return client.until(new RegExp(`(HTTP/1\\.1 200[^]*?at (one|two)[^]*?){${round}}`));
						}),
					);
				}
				for (const client of clients) expect(client.seen).not.toMatch(/HTTP\/1\.1 [45]/);
			} finally {
				for (const client of clients) client[Symbol.dispose]();
			}
		},
	);

	it("N3: large bodies cross a hop whole, both ways, at the pace of whoever is slower", async () => {
		const body = Buffer.alloc(12_000_000, "0123456789abcdef");
		const { port } = await at(0).http((request, response) => request.pipe(response));
		await at(0).agent("web", port, { token: await at(0).token("web") });
		for (const node of nodes) await known(node, 0);
		const answers = await Promise.all(
			[1, 2].map(async (index) => {
				const answer = await new Promise<IncomingMessage>((resolve, reject) => {
					const asked = request({ port: at(index).port, method: "PUT", headers: { host: "web.mos.test" } }, resolve);
					asked.on("error", reject);
					asked.end(body);
				});
				let bytes = 0;
				for await (const piece of answer) {
					bytes += (piece as Buffer).length;
					await new Promise((resolve) => setImmediate(resolve));
				}
				return [answer.statusCode, bytes];
			}),
		);
		expect(answers).toEqual([
			[200, body.length],
			[200, body.length],
		]);
	});

	it("N7: an assertion that counts once counts once in all", async () => {
		await agentAt(0, "at one");
		const ada = await at(1).principal("web");
		const key = parseCredential(ada.credential)?.key as Buffer;
		const exp = Math.floor(Date.now() / 1000) + 60;
		const assertion = signAssertion(key, { sub_id: "s", exp, jti: "once" });
		const extra = `x-backbone-principal: ${ada.credential}\r\nx-backbone-assertion: ${assertion}\r\n`;
		const all = await Promise.all([0, 1, 2].map((index) => askAt(index, extra)));
		expect(all.map(statusOf).sort()).toEqual([200, 401, 401]);
	});

	it("N6: the registry away, routes of before serve on and revocations are looked up; its return forgets nobody who is there", async () => {
		await agentAt(0, "at one");
		const ada = await at(1).principal("web");
		const credential = `x-backbone-principal: ${ada.credential}\r\n`;
		expect(statusOf(await askAt(2, credential))).toBe(200);
		shared.bus.isAway = true;
		expect(statusOf(await askAt(2, credential))).toBe(200);
		await expect
			.poll(async () => (await at(2).api("GET", "/admin/api/cluster")).json)
			.toMatchObject({ registry: "away", conditions: [{ code: "backbone-registry-away" }] });
		// Nobody tells node three; it looks, because it knows that nobody could.
		await at(1).api("DELETE", `/admin/api/grants/${ada.id}/web`);
		await expect.poll(async () => statusOf(await askAt(2, credential))).toBe(403);
		shared.bus.back();
		expect(statusOf(await askAt(2))).toBe(200);
		await expect.poll(async () => (await at(2).api("GET", "/admin/api/cluster")).json.conditions).toEqual([]);
		expect(statusOf(await askAt(2))).toBe(200);
	});

	it("N6: a credential that is rotated while no news comes ends what runs by the old one, and by it alone", async () => {
		const { port } = await at(0).http((_request, response) => {
			response.write("begun");
		});
		await at(0).agent("web", port, { token: await at(0).token("web") });
		for (const node of nodes) await known(node, 0);
		const ada = await at(1).principal("web");
		const opened = async (credential: string) => {
			const client = await RawClient.open({ port: at(2).port });
			client.send(get(`x-backbone-principal: ${credential}\r\n`));
			await client.until(/begun/);
			return client;
		};
		const before = await opened(ada.credential);
		shared.bus.isAway = true;
		const { json } = await at(1).api("POST", "/principals/rotate", {
			admin: false,
			headers: { "x-backbone-principal": ada.credential },
		});
		using after = await opened(json.credential);
		await before.closed();
		expect(await Promise.race([after.closed(), Promise.resolve("open")])).toBe("open");
		shared.bus.back();
	});

	it("N6: an agent that comes while the tokens are looked up stays, with a token that is newer than what was read", async () => {
		const { services } = at(0).backbone;
		const read = services.tokens.bind(services);
		const asked = Promise.withResolvers<void>();
		const held = Promise.withResolvers<void>();
		const again = Promise.withResolvers<void>();
		let looks = 0;
		services.tokens = async () => {
			const found = await read();
			looks += 1;
			asked.resolve();
			if (looks === 1) await held.promise;
			if (looks === 3) again.resolve();
			return found;
		};
		shared.bus.isAway = true;
		await asked.promise;
		const { port } = await at(0).http((_request, response) => response.end("at one"));
		const agent = await at(0).agent("web", port, { token: await at(0).token("web") });
		held.resolve();
		await again.promise;
		expect(agent.status.state).toBe("online");
		expect(await askAt(0)).toMatch(/at one/);
	});

	it("N6: an agent that comes while everything is read anew is known afterwards, too", async () => {
		const list = shared.kv.list.bind(shared.kv);
		const read = Promise.withResolvers<void>();
		const held = Promise.withResolvers<void>();
		shared.kv.list = async (prefix) => {
			const found = await list(prefix);
			if (!prefix.includes("agents")) return found;
			read.resolve();
			await held.promise;
			return found;
		};
		shared.bus.back();
		await read.promise;
		await agentAt(0, "at one");
		held.resolve();
		for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
		for (const index of [1, 2]) expect(await askAt(index)).toMatch(/at one/);
	});

	it("N4: a node that had no agent for a route that stands is asked again a second later", async () => {
		const clock = new VirtualClock(Date.now());
		const four = await TestBackbone.open({ nodeId: "four", cluster: { url: null, ca: null } }, shared, { clock });
		lifetime.defer(() => four[Symbol.asyncDispose]());
		const token = await at(0).token("web");
		// Its lease is there before it is, so that its coming is no news.
		const { json } = await at(0).api("GET", "/admin/api/cluster");
		const { epoch } = (json.nodes as { node: string; epoch: number }[]).find((each) => each.node === "one") as never;
		const lease = { service: "web", agent: "early", name: "", node: "one", epoch, links: 1 };
		await shared.kv.put(agentKey(lease), Buffer.from(JSON.stringify(lease)));
		await known(four, 0);
		const ask = () => RawClient.exchange({ port: four.port }, get());
		expect(statusOf(await ask())).toBe(503);
		shared.kv.put = async () => 0;
		const { port } = await at(0).http((_request, response) => response.end("at one"));
		await at(0).agent("web", port, { token });
		expect(statusOf(await ask())).toBe(503);
		await clock.advance(1_000);
		expect(await ask()).toMatch(/at one/);
	});

	it("N6: a node that went while the registry was away is forgotten after its return, by a timer that is early, too", async () => {
		class EarlyClock extends VirtualClock {
			earlyMs = 0;
			override monotonic(): number {
				return super.monotonic() - this.earlyMs;
			}
		}
		const clock = new EarlyClock(Date.now());
		const four = await TestBackbone.open({ nodeId: "four", cluster: { url: null, ca: null } }, shared, { clock });
		lifetime.defer(() => four[Symbol.asyncDispose]());
		const { otherNodes } = four.backbone;
		const gone = { node: "gone", run: "x", epoch: 1, url: "http://127.0.0.1:1", startedAt: 1 };
		await shared.kv.put(nodeKey("gone"), Buffer.from(JSON.stringify(gone)));
		await expect.poll(otherNodes).toContain("gone");
		shared.bus.isAway = true;
		await shared.kv.delete(nodeKey("gone"));
		shared.bus.back();
		// The runtime's timers come up to a millisecond before their time.
		clock.earlyMs = 0.5;
		await clock.advance(leaseLimits.graceMs);
		await expect.poll(otherNodes).not.toContain("gone");
	});

	it("N5: of two processes with one name the later serves, and the earlier says that it does not", async () => {
		await agentAt(0, "at one");
		const twin = await TestBackbone.open({ nodeId: "one", cluster: { url: null, ca: null } }, shared);
		lifetime.defer(() => twin[Symbol.asyncDispose]());
		await expect
			.poll(async () => (await at(0).api("GET", "/admin/api/cluster")).json.conditions)
			.toMatchObject([{ code: "backbone-node-superseded" }]);
		const { json } = await at(1).api("GET", "/admin/api/cluster");
		const ones = (json.nodes as { node: string; url: string; epoch: number }[]).filter((each) => each.node === "one");
		expect(ones).toMatchObject([{ url: `http://127.0.0.1:${twin.port}` }]);
		expect(statusOf(await askAt(1)), "its agents count no more").toBe(503);
	});

	it("the cluster says who is there, and a node that leaves is gone at once", async () => {
		await agentAt(0, "at one");
		const shown = async (index: number) =>
			(
				(await at(index).api("GET", "/admin/api/cluster")).json.nodes as {
					node: string;
					self: boolean;
					agents: object[];
				}[]
			)
				.map((each) => `${each.node} ${each.self} ${each.agents.length}`)
				.sort();
		await expect.poll(() => shown(1)).toEqual(["one false 1", "three false 0", "two true 0"]);
		await at(0).backbone.close();
		expect(await shown(1)).toEqual(["three false 0", "two true 0"]);
		expect(statusOf(await askAt(1))).toBe(503);
	});
});
