import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { commandEnvironment, freePort, RawClient, tempFolder } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../main.js", import.meta.url));
const adminToken = "an-administrator-of-tests";

interface Started {
	readonly ready: Record<string, any>;
	readonly child: ChildProcess;
	readonly exited: Promise<number | null>;
	log(): string;
}

let folder: ReturnType<typeof tempFolder>;
let running: Started[];
let services: Server[];
beforeEach(() => {
	folder = tempFolder("backbone");
	running = [];
	services = [];
});
afterEach(async () => {
	for (const { child } of running) child.kill("SIGKILL");
	await Promise.all(running.map(({ exited }) => exited));
	for (const service of services) {
		service.closeAllConnections();
		service.close();
	}
	folder[Symbol.dispose]();
});

/** Starts a command and waits for its one JSON line. */
async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Started> {
	const started = startWithoutWaiting(args, env);
	const line = once(createInterface({ input: started.child.stdout as Readable }), "line").then(
		([text]) => text as string,
	);
	const first = await Promise.race([line, started.exited.then((code) => `ended with ${code}: ${started.log()}`)]);
	if (!first.startsWith("{")) throw new Error(first);
	return { ...started, ready: JSON.parse(first) as Record<string, any> };
}

function startWithoutWaiting(args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
	const child = spawn(process.execPath, [main, ...args, "--json"], {
		stdio: ["ignore", "pipe", "pipe"],
		env: commandEnvironment(folder.path, env),
	});
	let log = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
	const exited = once(child, "exit").then(([code]) => code as number | null);
	const started = { ready: {}, child, exited, log: () => log };
	running.push(started);
	return started;
}

const startBackbone = (port = 0, env: Record<string, string> = { BACKBONE_ADMIN_TOKEN: adminToken }) =>
	start(["backbone", "--http", "--port", String(port), "--data", folder.file("data"), "--stream-ports", "0-0"], env);

async function api(server: Started, method: string, path: string, body?: object, token = adminToken): Promise<any> {
	const answer = await fetch(`http://127.0.0.1:${server.ready["port"]}${path}`, {
		method,
		headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const json: unknown = await answer.json();
	if (!answer.ok) throw new Error(`${answer.status} ${JSON.stringify(json)}`);
	return json;
}

async function httpService(answer: string): Promise<number> {
	const service = createServer((_request, response) => response.end(answer));
	await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
	services.push(service);
	return (service.address() as AddressInfo).port;
}

const serviceBody = "x".repeat(5000);

/** A service as a process of its own, which can be killed. */
async function startService(port: number) {
	const program = `const server = require("node:http").createServer((request, response) => response.end("x".repeat(5000)));
server.listen(${port}, "127.0.0.1", () => console.log(server.address().port));`;
	const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
	const exited = once(child, "exit").then(([code]) => code as number | null);
	const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
	running.push({ ready: {}, child, exited, log: () => "" });
	return { port: Number(line), child, exited };
}

const startAgent = (server: Started, token: string, target: number) =>
	start(
		[
			"agent",
			"--backbone",
			`http://127.0.0.1:${server.ready["port"]}`,
			"--service",
			"web",
			"--target",
			`127.0.0.1:${target}`,
		],
		{
			BACKBONE_SERVICE_TOKEN: token,
		},
	);

const ask = (server: Started, host = "web.localhost") =>
	RawClient.exchange(
		{ port: server.ready["port"] as number },
		`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
	).catch((fault: Error) => fault.message);

describe("warren backbone and warren agent", () => {
	it("what was acknowledged survives a kill -9 of the server, and agents come back by themselves", {
		timeout: 120_000,
	}, async () => {
		const port = await freePort();
		const server = await startBackbone(port);
		const { token } = await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const { principal_id } = await api(server, "POST", "/principals", { name: "Ada", email: "a@b.c" });
		await api(server, "POST", "/admin/api/grants", { principal_id, service: "web" });
		await startAgent(server, token, await httpService("ok"));
		expect(await ask(server)).toMatch(/ok$/);
		server.child.kill("SIGKILL");
		await server.exited;
		const again = await startBackbone(port);
		expect((await api(again, "GET", `/admin/api/grants/${principal_id}`)).grants).toMatchObject([{ service: "web" }]);
		await expect.poll(() => ask(again), { timeout: 40_000 }).toMatch(/ok$/);
	});

	it("a killed agent costs what it carried and nothing else: the other one serves on", {
		timeout: 120_000,
	}, async () => {
		const server = await startBackbone();
		const { token } = await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const target = await httpService("ok");
		const doomed = await startAgent(server, token, target);
		await startAgent(server, token, target);
		let failed = 0;
		let served = 0;
		const load = Promise.all(
			Array.from({ length: 8 }, async (_, worker) => {
				for (let each = 0; each < 30; each++) {
					if (worker === 0 && each === 10) doomed.child.kill("SIGKILL");
					if ((await ask(server)).endsWith("ok")) served += 1;
					else failed += 1;
				}
			}),
		);
		await load;
		expect(served + failed).toBe(240);
		// At most what hung on it when it died, and of that all GETs are asked again elsewhere.
		expect(failed).toBeLessThanOrEqual(8);
	});

	it("a killed service under load is 502 or a cut, never a clean end; once it is back it is served again", {
		timeout: 120_000,
	}, async () => {
		const server = await startBackbone();
		const { token } = await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const first = await startService(await freePort());
		await startAgent(server, token, first.port);
		const answers: string[] = [];
		await Promise.all(
			Array.from({ length: 8 }, async (_, worker) => {
				for (let each = 0; each < 30; each++) {
					if (worker === 0 && each === 10) first.child.kill("SIGKILL");
					answers.push(await ask(server));
				}
			}),
		);
		await first.exited;
		expect(answers).toHaveLength(240);
		const begun = answers.filter((text) => text.startsWith("HTTP/1.1 200"));
		const whole = begun.filter((text) => text.endsWith(serviceBody));
		const refused = answers.filter((text) => text.startsWith("HTTP/1.1 502"));
		expect(whole.length).toBeGreaterThanOrEqual(10);
		expect(refused.length).toBeGreaterThan(0);
		// What was on its way when it died may have begun: it is shorter than its length, which every client notices.
		expect(begun.length - whole.length).toBeLessThanOrEqual(8);
		for (const text of begun) expect(text).toContain("Content-Length: 5000\r\n");
		for (const text of answers) expect(text).toMatch(/^HTTP\/1\.1 (200|502)|^read ECONNRESET|^$/);
		await startService(first.port);
		await expect.poll(() => ask(server), { timeout: 40_000 }).toContain(serviceBody);
	});

	it("SIGTERM drains: both end with 0; a token that is refused, then or later, ends the agent with 1", {
		timeout: 120_000,
	}, async () => {
		const server = await startBackbone();
		const { token, id } = await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const agent = await startAgent(server, token, await httpService("ok"));
		agent.child.kill("SIGTERM");
		expect(await agent.exited).toBe(0);
		await api(server, "DELETE", `/admin/api/tokens/${id}`);
		await expect(startAgent(server, token, 1)).rejects.toThrow(/ended with 1: [\s\S]*BACKBONE_SERVICE_TOKEN/);
		const next = await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const revoked = await startAgent(server, next.token, 1);
		await api(server, "DELETE", `/admin/api/tokens/${next.id}`);
		expect(await revoked.exited).toBe(1);
		server.child.kill("SIGTERM");
		expect(await server.exited).toBe(0);
	});

	it("warren whoami --service shows what the service would be told, and why it would not be let in", {
		timeout: 120_000,
	}, async () => {
		const server = await startBackbone();
		await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const made = await api(server, "POST", "/principals", { name: "Ada", email: "ada@example.com" });
		const whoami = async (credential: string, ...more: string[]) => {
			const args = ["whoami", "--service", "web", "--backbone", `http://127.0.0.1:${server.ready["port"]}`, ...more];
			const child = spawn(process.execPath, [main, ...args], {
				stdio: ["ignore", "pipe", "pipe"],
				env: commandEnvironment(folder.path, { BACKBONE_CREDENTIAL: credential }),
			});
			let [out, log] = ["", ""];
			child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
			child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
			const [code] = (await once(child, "close")) as [number];
			return { code, out, log };
		};
		expect(await whoami(made.credential)).toMatchObject({ code: 1, out: "", log: expect.stringContaining("grant") });
		await api(server, "POST", "/admin/api/grants", { principal_id: made.principal_id, service: "web" });
		const told = await whoami(made.credential);
		expect(told).toMatchObject({ code: 0, log: "" });
		for (const line of [`x-mosb-sub: ${made.principal_id}`, "x-mosb-name: Ada", "x-mosb-email: ada@example.com"])
			expect(told.out).toContain(`${line}\n`);
		expect(told.out).toMatch(/^x-mosb-jwt: \S+\.\S+\.\S+$/m);
		const json = JSON.parse((await whoami(made.credential, "--json")).out) as { headers: Record<string, string> };
		expect(json.headers).toMatchObject({ "x-mosb-sub": made.principal_id });
		expect(await whoami("mosb_pr_nonsense")).toMatchObject({ code: 1, out: "" });
	});

	it("warren forward says in words why it does not begin", { timeout: 120_000 }, async () => {
		const server = await startBackbone();
		const taken = server.ready["port"] as number;
		await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		await api(server, "POST", "/admin/api/tokens", { service_name: "game", kind: "udp" });
		await api(server, "POST", "/admin/api/tokens", { service_name: "db", kind: "tcp" });
		const made = await api(server, "POST", "/principals", { name: "Ada", email: "ada@example.com" });
		for (const service of ["web", "game", "db"])
			await api(server, "POST", "/admin/api/grants", { principal_id: made.principal_id, service });
		const udp = createSocket("udp4");
		await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", resolve));
		const there = ["--backbone", `http://127.0.0.1:${taken}`];
		const forward = (...args: string[]) =>
			start(["forward", ...args], { BACKBONE_CREDENTIAL: made.credential }).catch((fault: Error) => fault.message);
		const cases = [
			[["db", String(taken), ...there], `Port ${taken} is taken already.`],
			[["game", String(udp.address().port), ...there], `Port ${udp.address().port} is taken already.`],
			[["db", "0", "--host", "nobody.invalid", ...there], 'The name \\"nobody.invalid\\" does not resolve'],
			[["db", "0"], "No backbone was given."],
			[["db", "0", "--backbone", "http://127.0.0.1:1"], "The backbone at http://127.0.0.1:1 cannot be reached"],
			[["nothing", "0", ...there], ': There is no service \\"nothing\\".'],
			[["web", "0", ...there], '\\"web\\" is a service of kind http'],
		] as const;
		for (const [args, happened] of cases) {
			const told = await forward(...args);
			expect(told).toContain(happened);
			expect(told).toMatch(/^ended with 1: \{"error":"(?!unexpected)/);
		}
		udp.close();
	});

	/** A backbone with two services, and where the file of an agent of both is to be. */
	async function twoServices() {
		const server = await startBackbone();
		const tokenOf = async (service_name: string): Promise<string> =>
			(await api(server, "POST", "/admin/api/tokens", { service_name })).token;
		const backbone = `http://127.0.0.1:${server.ready["port"]}`;
		return {
			server,
			backbone,
			token: await tokenOf("web"),
			second: await tokenOf("two"),
			file: folder.file("agents.json"),
		};
	}

	it("an agent file is read again without a drop: a changed target takes the next request", {
		timeout: 120_000,
	}, async () => {
		const { server, token, second, file, backbone } = await twoServices();
		const write = (list: object[]) => writeFileSync(file, JSON.stringify({ backbone, services: list }));
		const [one, other] = [await httpService("one"), await httpService("other")];
		write([{ service: "web", target: `127.0.0.1:${one}`, token }]);
		const agent = await start(["agent", "--config", file]);
		expect(await ask(server)).toMatch(/one$/);
		write([
			{ service: "web", target: `127.0.0.1:${other}`, token },
			{ service: "two", target: `127.0.0.1:${one}`, token: second },
		]);
		await expect.poll(() => ask(server), { timeout: 40_000 }).toMatch(/other$/);
		await expect.poll(() => ask(server, "two.localhost"), { timeout: 40_000 }).toMatch(/one$/);
		writeFileSync(file, "{ not JSON");
		await expect.poll(() => agent.log(), { timeout: 40_000 }).toContain("the old one stays");
		expect(await ask(server)).toMatch(/other$/);
	});

	it("an agent file is read again while one of its services has not been online yet", {
		timeout: 120_000,
	}, async () => {
		const { server, token, second, file, backbone } = await twoServices();
		const web = { service: "web", target: `127.0.0.1:${await httpService("one")}`, token };
		const write = (...more: object[]) => writeFileSync(file, JSON.stringify({ backbone, services: [web, ...more] }));
		write({ ...web, service: "two", token: second, backbone: "http://127.0.0.1:1" });
		const ready = start(["agent", "--config", file]);
		await expect.poll(() => ask(server), { timeout: 40_000 }).toMatch(/one$/);
		write({ ...web, service: "two", token: second });
		expect((await ready).ready["services"]).toMatchObject([{ state: "online" }, { state: "online" }]);
		expect(await ask(server, "two.localhost")).toMatch(/one$/);
	});

	it("SIGTERM drains what is online while another of the agent's services is not yet", {
		timeout: 120_000,
	}, async () => {
		const { server, token, second, file, backbone } = await twoServices();
		const asked = Promise.withResolvers<ServerResponse>();
		const slow = createServer((_request, response) => {
			response.write("begun, ");
			asked.resolve(response);
		});
		await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve));
		services.push(slow);
		const web = { service: "web", target: `127.0.0.1:${(slow.address() as AddressInfo).port}`, token };
		const away = { ...web, service: "two", token: second, backbone: "http://127.0.0.1:1" };
		writeFileSync(file, JSON.stringify({ backbone, services: [web, away] }));
		const agent = startWithoutWaiting(["agent", "--config", file]);
		// Answered with 503 until the agent is online.
		let answer = "";
		const ended = (async () => {
			do answer = await ask(server);
			while (answer.startsWith("HTTP/1.1 503"));
		})();
		const response = await asked.promise;
		agent.child.kill("SIGTERM");
		await expect.poll(() => agent.log(), { timeout: 40_000 }).toContain("stopping");
		response.end("and ended");
		await ended;
		expect(answer).toMatch(/begun, [\s\S]*and ended/);
		expect(await agent.exited).toBe(0);
	});

	it("an agent ends when a reload leaves it nothing but what has stopped", { timeout: 120_000 }, async () => {
		const server = await startBackbone();
		const { token } = await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const file = folder.file("agents.json");
		const web = { service: "web", target: "127.0.0.1:1", token };
		const refused = { service: "two", target: "127.0.0.1:1", token: "mosb_two_none" };
		const write = (...services: object[]) =>
			writeFileSync(file, JSON.stringify({ backbone: `http://127.0.0.1:${server.ready["port"]}`, services }));
		write(web, refused);
		const agent = await start(["agent", "--config", file]);
		write(refused);
		expect(await agent.exited).toBe(1);
	});

	it("ten thousand links are parked, and serve", { timeout: 240_000 }, async (context) => {
		context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "it takes a minute: WARREN_LONG_TESTS=1 runs it");
		const server = await startBackbone();
		const { token } = await api(server, "POST", "/admin/api/tokens", { service_name: "web" });
		const file = folder.file("agents.json");
		const service = {
			service: "web",
			target: `127.0.0.1:${await httpService("ok")}`,
			token,
			transport: "parked",
			links: 10_000,
		};
		writeFileSync(file, JSON.stringify({ backbone: `http://127.0.0.1:${server.ready["port"]}`, services: [service] }));
		await start(["agent", "--config", file]);
		const links = async () => (await api(server, "GET", "/admin/api/services")).services[0].agents[0]?.links as number;
		await expect.poll(links, { timeout: 200_000, interval: 500 }).toBeGreaterThanOrEqual(10_000);
		for (let each = 0; each < 100; each++) expect(await ask(server)).toMatch(/ok$/);
	});

	it("makes its secrets on the first run, shows the admin token once, keeps files to itself", {
		timeout: 120_000,
	}, async () => {
		const server = await startBackbone(0, {});
		const token = /Admin token (wb_\S+)/.exec(server.log())?.[1] ?? "";
		expect(await api(server, "GET", "/admin/api/tokens", undefined, token)).toEqual({ tokens: [] });
		const data = server.ready["data"] as string;
		for (const name of ["admin.hash", "master.secret", "jwt.key"]) {
			expect(statSync(`${data}/backbone/${name}`).mode & 0o777).toBe(0o600);
			expect(readFileSync(`${data}/backbone/${name}`, "utf8")).not.toContain(token);
		}
		server.child.kill("SIGTERM");
		await server.exited;
		expect((await startBackbone(0, {})).log()).not.toContain("Admin token");
	});

	it("refuses plain HTTP off loopback, and a token in the clear", async () => {
		await expect(start(["backbone", "--http", "--host", "0.0.0.0", "--data", folder.file("d")])).rejects.toThrow(
			/in the clear/,
		);
		await expect(
			start(["agent", "--backbone", "http://203.0.113.1", "--service", "web", "--target", "127.0.0.1:1"], {
				BACKBONE_SERVICE_TOKEN: "x",
			}),
		).rejects.toThrow(/in the clear/);
	});

	it("serves TLS with the local CA, to clients and agents alike", { timeout: 120_000 }, async () => {
		const server = await start(
			["backbone", "--domain", "mos.internal", "--port", "0", "--host", "127.0.0.1", "--data", folder.file("data")],
			{
				BACKBONE_ADMIN_TOKEN: adminToken,
			},
		);
		const ca = folder.file("data/backbone-ca/ca.crt");
		const port = server.ready["port"] as number;
		const tls = { port, ca: readFileSync(ca, "utf8") };
		const body = JSON.stringify({ service_name: "web" });
		const made = await RawClient.exchange(
			tls,
			`POST /admin/api/tokens HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${adminToken}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
		);
		const token = /"token":"([^"]+)"/.exec(made)?.[1] as string;
		const target = await httpService("ok");
		for (const transport of ["shared", "parked", "http2"]) {
			const agent = await start(
				[
					"agent",
					"--backbone",
					`https://127.0.0.1:${port}`,
					"--service",
					"web",
					"--target",
					`127.0.0.1:${target}`,
					"--ca",
					ca,
					"--transport",
					transport,
				],
				{ BACKBONE_SERVICE_TOKEN: token },
			);
			expect(
				await RawClient.exchange(tls, `GET / HTTP/1.1\r\nHost: web.mos.internal\r\nConnection: close\r\n\r\n`),
				transport,
			).toMatch(/ok$/);
			agent.child.kill("SIGTERM");
			await agent.exited;
		}
	});
});
