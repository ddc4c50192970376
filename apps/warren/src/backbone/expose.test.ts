import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { run } from "@warren/net";
import { commandEnvironment, freePort, type StartedNode, startNode, startServer, tempFolder } from "@warren/testkit";
import { Agent, request } from "undici";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openAgents } from "./agent-role.ts";

const main = fileURLToPath(new URL("../main.js", import.meta.url));
const adminToken = "an-administrator-of-tests";
const patience = { timeout: 40_000 };

let app: Server;
let appPort: number;
let folder: ReturnType<typeof tempFolder>;
beforeEach(async () => {
	folder = tempFolder("expose");
	app = createServer((incoming, outgoing) => outgoing.end(`hello ${incoming.headers["x-mosb-name"] ?? "nobody"}`));
	await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
	appPort = (app.address() as AddressInfo).port;
});
afterEach(() => {
	app.closeAllConnections();
	app.close();
	folder[Symbol.dispose]();
});

async function warren(node: StartedNode, ...args: string[]) {
	const result = await run(process.execPath, [main, "expose", "--data", node.data, "--json", ...args], {
		// Bounds a hang on a busy machine, and times nothing.
		timeoutMs: 60_000,
		env: commandEnvironment(node.home),
	});
	if (result.outcome !== "exited") throw new Error(result.message);
	return result;
}

/** Exposes a port, and waits until its agent is online and it was seen whether anybody listens: each may take its time. */
async function exposed(node: StartedNode, target: "up" | "down", name: string, ...args: string[]): Promise<any> {
	const made = await warren(node, name, ...args);
	expect([made.code, made.stderr]).toEqual([0, ""]);
	let shown = JSON.parse(made.stdout);
	await expect
		.poll(async () => {
			if (shown.state !== "online" || shown.target !== target)
				shown = (await listed(node)).find((each) => each.name === name);
			return [shown.state, shown.target];
		}, patience)
		.toEqual(["online", target]);
	return shown;
}

async function startUp(backbonePort: number, env: Readonly<Record<string, string>> = {}): Promise<StartedNode> {
	return startNode({
		command: ["up"],
		home: folder.path,
		env: {
			...{ WARREN_EDGE: "1", WARREN_SIDECAR_PORT: "0", WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0" },
			...{ WARREN_BACKBONE_PORT: String(backbonePort), BACKBONE_ADMIN_TOKEN: adminToken },
			...env,
		},
	});
}

const listed = async (node: StartedNode) =>
	JSON.parse((await warren(node)).stdout || '{"services":[]}').services as { readonly name: string }[];

/** Asks by the service's own name, trusting the warren's CA alone. */
async function ask(
	node: StartedNode,
	port: number,
	options: { name?: string; path?: string; headers?: Record<string, string>; body?: object } = {},
): Promise<{ status: number; text: string }> {
	const { name = "web.localhost", path = "/", headers = {}, body } = options;
	const agent = new Agent({ connect: { ca: node.ca, servername: name } });
	try {
		const answer = await request(`https://127.0.0.1:${port}${path}`, {
			method: body === undefined ? "GET" : "POST",
			dispatcher: agent,
			headers: {
				host: `${name}:${port}`,
				accept: "application/json",
				...(body === undefined ? {} : { "content-type": "application/json" }),
				...headers,
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		return { status: answer.statusCode, text: await answer.body.text() };
	} catch (fault) {
		return { status: 0, text: (fault as Error).message };
	} finally {
		await agent.close();
	}
}

/** Sends a datagram again and again, as UDP's users do, until one comes back. @returns its length. */
async function sentBack(port: number, bytes: number): Promise<number> {
	const socket = createSocket("udp4");
	const again = setInterval(() => socket.send(Buffer.alloc(bytes, "x"), port, "127.0.0.1"), 50);
	try {
		const [datagram] = (await once(socket, "message", { signal: AbortSignal.timeout(patience.timeout) })) as [Buffer];
		return datagram.length;
	} finally {
		clearInterval(again);
		socket.close();
	}
}

/** @returns the status, or what stood in the way. */
async function overHttp2(node: StartedNode, url: string): Promise<unknown> {
	const { host, hostname, port } = new URL(url);
	const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: node.ca, servername: hostname });
	try {
		await once(session, "connect");
		const [answer] = await once(session.request({ ":authority": host }), "response");
		return answer[":status"];
	} catch (fault) {
		return fault;
	} finally {
		session.destroy();
	}
}

describe("warren expose", () => {
	it("gives a port a name for principals with a grant, for everybody when told, and is there after restarts", {
		timeout: 180_000,
	}, async () => {
		const port = await freePort();
		{
			await using node = await startUp(port);
			await expect.poll(async () => (await warren(node)).code, patience).toBe(0);
			expect(await exposed(node, "up", "web", String(appPort))).toEqual({
				...{ name: "web", kind: "http", port: appPort, public: false, state: "online", reason: null, target: "up" },
				overlay: {
					uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
					address: expect.stringMatching(/^fd5a:1f02:/),
					port: 8730,
					host: "web.warren.internal",
				},
				url: `https://web.localhost:${port}`,
			});
			await expect.poll(async () => (await ask(node, port)).status, patience).toBe(401);
			const api = { name: "localhost", headers: { authorization: `Bearer ${adminToken}` } };
			const body = { name: "Ada", email: "a@b.c" };
			const made = JSON.parse((await ask(node, port, { name: "localhost", path: "/principals", body })).text);
			const headers = { "x-backbone-principal": made.credential as string };
			expect((await ask(node, port, { headers })).status).toBe(403);
			const grant = { principal_id: made.principal_id, service: "web" };
			await ask(node, port, { ...api, path: "/admin/api/grants", body: grant });
			expect(await ask(node, port, { headers })).toEqual({ status: 200, text: "hello Ada" });

			expect((await warren(node, "web", String(appPort), "--public")).code).toBe(0);
			await expect.poll(() => ask(node, port), patience).toEqual({ status: 200, text: "hello nobody" });

			const file = `${node.data}/exposed.json`;
			expect(statSync(file).mode & 0o777).toBe(0o600);
			expect(statSync(`${node.data}/backbone-console.token`).mode & 0o777).toBe(0o600);
			const [{ token }] = JSON.parse(readFileSync(file, "utf8"));
			expect(node.log()).not.toContain(token);
			expect(JSON.stringify(await listed(node))).not.toContain(token);

			// The edge alone dies, then the whole machine.
			const status = (await (await node.fetch("/api/status")).json()) as { roles: { name: string; pid: number }[] };
			process.kill(status.roles.find(({ name }) => name === "backbone")?.pid as number, "SIGKILL");
			await expect.poll(() => ask(node, port), patience).toEqual({ status: 200, text: "hello nobody" });
			await node.kill("SIGKILL");
		}
		await using node = await startUp(port);
		await expect.poll(() => ask(node, port), patience).toEqual({ status: 200, text: "hello nobody" });

		expect(JSON.parse((await warren(node, "web", "--off")).stdout)).toEqual({ hidden: "web" });
		expect((await ask(node, port)).status).toBe(503);
		expect(await listed(node)).toEqual([]);
		expect(readFileSync(`${node.data}/exposed.json`, "utf8")).toBe("[]\n");
		expect(await warren(node, "web", "--off")).toMatchObject({
			code: 1,
			stderr: expect.stringContaining('"unknown_service"'),
		});
	});

	it("gives a joined machine's ports names at the first machine, TCP as well; a name that moves keeps its address", {
		timeout: 180_000,
	}, async () => {
		const port = await freePort();
		await using first = await startUp(port);
		await expect.poll(async () => (await warren(first)).code, patience).toBe(0);
		const invited = await run(process.execPath, [main, "invite", "--json", "--data", first.data], {
			timeoutMs: 60_000,
			env: commandEnvironment(first.home),
		});
		if (invited.outcome !== "exited") throw new Error(invited.message);
		const { code } = JSON.parse(invited.stdout) as { code: string };
		await using second = await startNode({
			command: ["join", first.origin],
			name: "attic",
			env: { WARREN_SIDECAR_PORT: "0", WARREN_JOIN_CODE: code },
		});
		const shown = await exposed(second, "up", "web", String(appPort), "--public");
		expect(shown.url).toBe(`https://web.localhost:${port}`);
		await expect.poll(() => ask(first, port), patience).toEqual({ status: 200, text: "hello nobody" });

		// Of one machine at a time: the other is told so, until the name is given back.
		expect(await warren(first, "web", String(appPort))).toMatchObject({
			code: 1,
			stderr: expect.stringContaining("another agent"),
		});
		expect((await warren(second, "web", "--off")).code).toBe(0);
		expect((await ask(first, port)).status).toBe(503);
		const moved = await exposed(first, "up", "web", String(appPort), "--public");
		expect(moved.overlay).toEqual(shown.overlay);
		expect(await warren(second, "web", String(appPort))).toMatchObject({ code: 1, stdout: "" });

		const tcp = await exposed(second, "up", "raw", String(appPort), "--tcp", "--public");
		expect(tcp.kind).toBe("tcp");
		const direct = await fetch(`http://127.0.0.1:${new URL(tcp.url).port}/`);
		expect([direct.status, await direct.text()]).toEqual([200, "hello nobody"]);
		expect(await warren(second, "raw", String(appPort))).toMatchObject({
			code: 1,
			stderr: expect.stringContaining("kind tcp"),
		});

		await exposed(second, "down", "later", String(await freePort()));
		for (const [name, why] of [
			["machine-x", "machines are called so"],
			["node", "this node's own"],
		] as const)
			expect(await warren(second, name, String(name === "node" ? second.port : appPort))).toMatchObject({
				code: 1,
				stderr: expect.stringContaining(why),
			});
	});

	it("UDP and HTTP/2: datagrams pass through a port for everybody, and through a forward for whom it is granted", {
		timeout: 180_000,
	}, async () => {
		const port = await freePort();
		await using node = await startUp(port);
		await expect.poll(async () => (await warren(node)).code, patience).toBe(0);
		const echo = createSocket("udp4").on("message", (bytes, from) => echo.send(bytes, from.port, from.address));
		const rpc = createHttp2Server().on("stream", (stream: ServerHttp2Stream) =>
			stream.respond({ ":status": 200 }, { endStream: true }),
		);
		rpc.listen(0, "127.0.0.1");
		try {
			const unused = await freePort();
			const early = await exposed(node, "down", "game", String(unused), "--udp", "--public");
			expect(early).toMatchObject({ kind: "udp", overlay: null });
			echo.bind(0, "127.0.0.1");
			await once(echo, "listening");
			const local = String(echo.address().port);
			const open = await exposed(node, "up", "game", local, "--udp", "--public");
			expect(open.url).toBe(early.url);
			const everybody = new URL(open.url);
			expect(everybody.protocol).toBe("udp:");
			for (const size of [1, 1400, 60_000]) expect(await sentBack(Number(everybody.port), size)).toBe(size);

			const api = { name: "localhost", headers: { authorization: `Bearer ${adminToken}` } };
			const made = await ask(node, port, {
				...api,
				path: "/admin/api/principals",
				body: { name: "Ada", email: "a@b.c" },
			});
			const { principal_id: principal, credential } = JSON.parse(made.text) as Record<string, string>;
			const closed = await exposed(node, "up", "game", local, "--udp", "--grant", principal as string);
			expect(closed).toMatchObject({ public: false, url: "udp://game" });
			const ca = `${folder.path}/ca.crt`;
			writeFileSync(ca, node.ca);
			await using forward = await startServer(["forward", "game", "0", "--ca", ca], {
				...{ BACKBONE_CREDENTIAL: credential as string, BACKBONE_URL: `https://localhost:${port}` },
			});
			expect(await sentBack(forward.ready["port"] as number, 1400)).toBe(1400);

			const { port: rpcPort } = rpc.address() as AddressInfo;
			const spoken = await exposed(node, "up", "rpc", String(rpcPort), "--h2", "--public");
			expect(spoken.kind).toBe("h2");
			// The certificate names it a moment later.
			await expect.poll(() => overHttp2(node, spoken.url), patience).toBe(200);

			const refused = await warren(node, "game", local, "--tcp");
			expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("kind udp, not tcp") });
			expect(await warren(node, "game", local, "--tcp", "--udp")).toMatchObject({
				...{ code: 1, stdout: "" },
				stderr: expect.stringContaining("--tcp and --udp"),
			});
		} finally {
			echo.close();
			rpc.close();
		}
	});

	it("refuses names that are none, a name that another agent serves, and a port that is none", {
		timeout: 120_000,
	}, async () => {
		const port = await freePort();
		await using node = await startUp(port);
		await expect.poll(async () => (await warren(node)).code, patience).toBe(0);
		for (const name of ["Web", "a_b", "pr", "-a", "a".repeat(64), "a/b"])
			expect(await warren(node, "--", name, String(appPort)), name).toMatchObject({
				...{ code: 1, stdout: "" },
				stderr: expect.stringContaining("service"),
			});
		for (const each of ["0", "65536", "http", ""])
			expect(await warren(node, "web", each), each).toMatchObject({
				...{ code: 1, stdout: "" },
				stderr: expect.stringContaining("port"),
			});
		const api = { name: "localhost", headers: { authorization: `Bearer ${adminToken}` } };
		const made = await ask(node, port, { ...api, path: "/admin/api/tokens", body: { service_name: "web" } });
		const agents = openAgents({ clock: systemClock, random: systemRandom, logger: silentLogger }, [
			{
				...{ backbone: new URL(`https://localhost:${port}`), ca: node.ca, service: "web", name: null },
				...{ target: { host: "127.0.0.1", port: appPort }, token: JSON.parse(made.text).token as string },
				...{ transport: "parked", proxyProtocol: false },
			},
		]);
		await agents.settled;
		const taken = await warren(node, "web", String(appPort));
		await agents.close();
		expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining("another agent") });
		expect(await listed(node)).toEqual([]);
	});

	it("says that there is no backbone where none can be", { timeout: 60_000 }, async () => {
		await using node = await startNode();
		expect(await warren(node, "web", String(appPort))).toMatchObject({
			code: 1,
			stderr: expect.stringMatching(/No backbone runs on this machine[^]*warren up/),
		});
	});
});
