import { spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { freePort, type StartedServer, startServer, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { register, secretOf, TestMesh } from "./mesh.testing.ts";
import { challengeText } from "./protocol/index.ts";

/** The gateway as its own process, over real sockets. */
const all = { features: ["receipts", "ordered", "queue", "events", "interest"] };
const start = (data: string, more: readonly string[] = [], environment: Record<string, string> = {}) =>
	startServer(["gateway", "--data", data, "--host", "127.0.0.1", "--port", "0", ...more], environment);
const urlOf = (server: StartedServer) => server.ready["url"] as string;

describe("a gateway on its own", () => {
	it("does what the original's page says, with its commands", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const url = urlOf(server);
		const registered = await register(url, { meshId: "my-mesh", secret: "a-strong-secret", name: "My Mesh" });
		expect([registered.status, await registered.json()]).toEqual([200, { ok: true }]);
		const health = async () => (await fetch(`${url}/health`)).text();
		expect(await health()).toBe('{"ok":true,"connected":0}');
		const mesh = await TestMesh.dial(url);
		mesh.say({ type: "gateway_auth", meshId: "my-mesh", secret: "a-strong-secret" });
		expect(await mesh.next("gateway_auth_ok")).toEqual({
			type: "gateway_auth_ok",
			meshId: "my-mesh",
			name: "My Mesh",
		});
		expect(await health()).toBe('{"ok":true,"connected":1}');
		expect(readFileSync(folder.file("gateway.db")).includes("a-strong-secret")).toBe(false);
		expect(statSync(folder.file("gateway.db")).mode & 0o777).toBe(0o600);
		await mesh.close();
	});

	it("a known meshId is not taken over by registering it again; its secret proves a new one", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const url = urlOf(server);
		const first = { meshId: "m", secret: "first-secret", name: "M" };
		await register(url, first);
		const thief = await register(url, { ...first, secret: "thief-secret" });
		expect(thief.status).toBe(409);
		expect(await thief.json()).toMatchObject({ error: "mesh_taken" });
		const wrong = await register(url, { ...first, secret: "thief-secret", previousSecret: "guessed" });
		expect(wrong.status).toBe(409);
		expect((await register(url, { ...first, name: "Renamed" })).status).toBe(200);
		const inside = await TestMesh.dial(url);
		inside.say({ type: "gateway_auth", meshId: "m", secret: "first-secret" });
		expect(await inside.next("gateway_auth_ok")).toMatchObject({ name: "Renamed" });
		const rotated = await register(url, { ...first, secret: "second-secret", previousSecret: "first-secret" });
		expect(rotated.status).toBe(200);
		expect((await inside.closed).code, "the old secret is worth nothing, also where it is in").toBe(4401);
		for (const [secret, type] of [
			["first-secret", "gateway_auth_error"],
			["second-secret", "gateway_auth_ok"],
		] as const) {
			const mesh = await TestMesh.dial(url);
			mesh.say({ type: "gateway_auth", meshId: "m", secret });
			await mesh.next(type);
			mesh.cut();
		}
	});

	it.each([
		["no JSON", "{", 400],
		["no name", { meshId: "m", secret: "long-enough" }, 400],
		["a short secret", { meshId: "m", secret: "short", name: "M" }, 400],
		["a bad id", { meshId: "../m", secret: "long-enough", name: "M" }, 400],
		["a body that is too large", { meshId: "m", secret: "long-enough", name: "M", more: "x".repeat(9000) }, 413],
	])("refuses a registration with %s", async (_name, body, status) => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const answer = await register(urlOf(server), body);
		expect(answer.status).toBe(status);
		expect(await answer.json()).toHaveProperty("error");
	});

	it("limits registrations and wrong secrets by address, and says for how long", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const url = urlOf(server);
		let refused: Response | undefined;
		for (let n = 0; n < 30 && refused === undefined; n += 1) {
			const answer = await register(url, { meshId: `m${n}`, secret: secretOf(`m${n}`), name: "M" });
			if (answer.status !== 200) refused = answer;
		}
		expect(refused?.status).toBe(429);
		expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
		const answers: string[] = [];
		// Dialled before: what is counted is paid off while it is slow.
		const meshes: TestMesh[] = [];
		for (let n = 0; n < 22; n += 1) meshes.push(await TestMesh.dial(url));
		for (const mesh of meshes) {
			mesh.say({ type: "gateway_auth", meshId: "m1", secret: secretOf("wrong") });
			answers.push((await mesh.next("gateway_auth_error"))["message"] as string);
			await mesh.closed;
		}
		expect(answers[0]).toBe("Invalid credentials");
		expect(answers.at(-1)).toMatch(/^Too many logins from your address: try again in \d+ s$/);
	});

	it("asks for an invitation where the operator wants one", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path, [], { WARREN_GATEWAY_INVITATION: "come-in-please" });
		const mesh = { meshId: "m", secret: "long-enough", name: "M" };
		expect((await register(urlOf(server), mesh)).status).toBe(403);
		expect((await register(urlOf(server), { ...mesh, invitation: "wrong" })).status).toBe(403);
		expect((await register(urlOf(server), { ...mesh, invitation: "come-in-please" })).status).toBe(200);
	});

	it("G3 lets an Ed25519 key in, and no replay of what it signed", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const url = urlOf(server);
		const { publicKey, privateKey } = generateKeyPairSync("ed25519");
		const raw = (publicKey.export({ format: "jwk" }) as { x: string }).x;
		await register(url, { meshId: "k", secret: "long-enough", name: "K", publicKey: raw });
		const auth = { type: "gateway_auth", meshId: "k", publicKey: raw };
		const sealed = (nonce: string, host: string) =>
			sign(null, Buffer.from(challengeText(host, "k", nonce)), privateKey).toString("base64url");
		const mesh = await TestMesh.dial(url);
		mesh.say(auth);
		const { nonce } = await mesh.next("gateway_challenge");
		const signature = sealed(nonce as string, new URL(url).host);
		mesh.say({ ...auth, nonce, signature });
		await mesh.next("gateway_auth_ok");
		const replay = await TestMesh.dial(url);
		replay.say(auth);
		await replay.next("gateway_challenge");
		replay.say({ ...auth, nonce, signature });
		expect(await replay.next("gateway_auth_error")).toMatchObject({ message: "Invalid credentials" });
		const elsewhere = await TestMesh.dial(url);
		elsewhere.say(auth);
		const other = await elsewhere.next("gateway_challenge");
		elsewhere.say({ ...auth, nonce: other["nonce"], signature: sealed(other["nonce"] as string, "evil.example") });
		expect(await elsewhere.next("gateway_auth_error")).toMatchObject({ message: "Invalid credentials" });
		await mesh.close();
	});

	it("G5 G19 a payload that is nested too deeply gets an error, also while a login is looked at", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const url = urlOf(server);
		// A secret that somebody chose takes a slow hash: what is said meanwhile waits.
		await register(url, { meshId: "m", secret: "long-enough", name: "M" });
		const deep = `{"type":"gateway_broadcast","payload":${'{"0":'.repeat(8_000)}1${"}".repeat(8_000)}}`;
		const mesh = await TestMesh.dial(url);
		mesh.say({ type: "gateway_auth", meshId: "m", secret: "long-enough" });
		mesh.say(deep);
		await mesh.next("gateway_auth_ok");
		expect(await mesh.next("error")).toMatchObject({ message: "gateway_broadcast: payload is nested too deeply" });
		const stranger = await TestMesh.dial(url);
		stranger.say(deep);
		expect(await stranger.next("gateway_auth_error")).toMatchObject({
			message: "gateway_broadcast: payload is nested too deeply",
		});
		stranger.cut();
		await mesh.close();
	});

	it("G6 closes a socket for a message above 64 KiB, and serves on", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const mesh = await TestMesh.in(urlOf(server), "m");
		mesh.say("x".repeat(64 * 1024 + 1));
		expect((await mesh.closed).code).toBe(1009);
		const health = async () => (await (await fetch(`${urlOf(server)}/health`)).json()) as object;
		await expect.poll(health).toEqual({ ok: true, connected: 0 });
	});

	it("what was said to be queued survives kill -9 in the middle of sends, and comes once, in order", async () => {
		using folder = tempFolder("gateway");
		const port = await freePort();
		const open = () =>
			startServer([
				"gateway",
				"--data",
				folder.path,
				"--host",
				"127.0.0.1",
				"--port",
				String(port),
				"--messages-per-minute",
				"100000",
			]);
		let server = await open();
		const url = urlOf(server);
		const receiver = await TestMesh.in(url, "b", all);
		await receiver.close();
		const queued = new Set<string>();
		let next = 1;
		for (let round = 0; round < 3; round += 1) {
			const sender = await TestMesh.in(url, "a", all);
			sender.onMessage = (message) => {
				if (message["type"] === "gateway_receipt" && message["outcome"] === "queued")
					queued.add(message["id"] as string);
			};
			const enough = queued.size + 50;
			for (let count = 0; count < 200; count += 1, next += 1)
				sender.say({ type: "gateway_relay", targetMeshId: "b", payload: { n: next }, id: `m${next}` });
			await sender.until(() => queued.size >= enough);
			await server.kill("SIGKILL");
			await sender.closed;
			server = await open();
		}
		await using _server = server;
		const again = await TestMesh.in(url, "b", all);
		let kept = 0;
		again.onMessage = (message) => {
			if (message["type"] === "gateway_incoming") again.say({ type: "gateway_ack", count: ++kept });
		};
		kept = again.of("gateway_incoming").length;
		again.say({ type: "gateway_ack", count: kept });
		await again.until(() => {
			const ids = new Set(again.of("gateway_incoming").map((each) => each["id"]));
			return [...queued].every((id) => ids.has(id));
		});
		const numbers = again.of("gateway_incoming").map((each) => (each["payload"] as { n: number }).n);
		expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
		expect(queued.size).toBeGreaterThanOrEqual(150);
		// What was kept without having been said to be so may still be on its way: that alone comes another time.
		again.onMessage = () => {};
		const taken = new Set(again.of("gateway_incoming").map((each) => each["id"]));
		await again.close();
		const third = await TestMesh.in(url, "b", all);
		third.say({ type: "gateway_ping", token: "t" });
		await third.next("gateway_pong");
		expect(third.of("gateway_incoming").filter((each) => taken.has(each["id"]))).toEqual([]);
		await third.close();
	}, 120_000);

	it("keeps nothing of what was delivered", async () => {
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const url = urlOf(server);
		const [sender, receiver] = [await TestMesh.in(url, "a", all), await TestMesh.in(url, "b", all)];
		const said = "a sentence that is nobody else's";
		sender.say({ type: "gateway_relay", targetMeshId: "b", payload: { said }, id: "1" });
		expect(await receiver.next("gateway_incoming")).toMatchObject({ payload: { said } });
		receiver.say({ type: "gateway_ack", count: 1 });
		expect(await sender.next("gateway_receipt")).toMatchObject({ outcome: "delivered" });
		await sender.close();
		await receiver.close();
		await server.kill("SIGTERM");
		const kept = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
		expect(kept.map(({ name }) => name)).toContain("gateway.db");
		for (const file of kept)
			expect(readFileSync(join(file.parentPath, file.name)).includes(said), file.name).toBe(false);
	});

	it("is hosted by npm start in its own folder, in one command", { timeout: 120_000 }, async (context) => {
		const top = fileURLToPath(new URL("../../../", import.meta.url));
		const setUp = existsSync(join(top, "node_modules/.warren-installed"));
		context.skip(!setUp, "it would install under the other tests' feet: npm run setup first");
		using folder = tempFolder("gateway");
		const port = await freePort();
		const child = spawn("npm", ["start", "--", "--data", folder.path, "--json"], {
			cwd: join(top, "examples/gateway"),
			env: { ...process.env, PORT: String(port) },
			stdio: ["ignore", "pipe", "inherit"],
			detached: true,
		});
		const exited = once(child, "exit");
		await new Promise<void>((resolve, reject) => {
			createInterface(child.stdout).on("line", (line) => line.startsWith("{") && resolve());
			void exited.then(([code]) => reject(new Error(`npm start ended with ${code}`)));
		});
		expect(await (await fetch(`http://127.0.0.1:${port}/health`)).text()).toBe('{"ok":true,"connected":0}');
		// As Ctrl-C: npm itself does not pass a signal on through its shell.
		process.kill(-(child.pid as number), "SIGTERM");
		await exited;
		await expect.poll(() => fetch(`http://127.0.0.1:${port}/health`).catch(() => "gone")).toBe("gone");
	});

	it("G18 SIGTERM drains: told, closed 1012, nothing lost, exit 0", async () => {
		using folder = tempFolder("gateway");
		const server = await start(folder.path);
		const a = await TestMesh.in(urlOf(server), "a", all);
		const b = await TestMesh.in(urlOf(server), "b", all);
		a.say({ type: "gateway_relay", targetMeshId: "b", payload: { n: 1 }, id: "m1" });
		await b.next("gateway_incoming");
		const code = server.kill("SIGTERM");
		await b.next("gateway_drain");
		expect((await b.closed).code).toBe(1012);
		expect(await code).toBe(0);
		await using again = await start(folder.path);
		const back = await TestMesh.in(urlOf(again), "b", all);
		expect((await back.next("gateway_incoming"))["payload"]).toEqual({ n: 1 });
		await back.close();
	});

	it("at the end of its open files it turns new ones away, keeps those that are in, and has room again once some left", async (test) => {
		const files = 120;
		using folder = tempFolder("gateway");
		await using server = await start(folder.path);
		const url = urlOf(server);
		const mesh = await TestMesh.in(url, "a");
		const lowered = spawnSync("prlimit", ["--pid", String(server.ready["pid"]), `--nofile=${files}:${files}`]);
		test.skip(lowered.status !== 0, "needs prlimit, of util-linux");
		const sockets = Array.from({ length: 2 * files }, () => connect(Number(new URL(url).port), "127.0.0.1"));
		let away = 0;
		const turnedAway = new Promise<void>((resolve) => {
			for (const socket of sockets) {
				socket.on("error", () => {});
				socket.once("close", () => ++away >= files && resolve());
			}
		});
		await turnedAway;
		mesh.say({ type: "gateway_relay", targetMeshId: "a", payload: { n: 1 } });
		expect((await mesh.next("gateway_incoming"))["payload"]).toEqual({ n: 1 });
		for (const socket of sockets) socket.destroy();
		const health = () =>
			fetch(`${url}/health`).then(
				(answer) => answer.text(),
				() => "turned away",
			);
		await expect.poll(health).toBe('{"ok":true,"connected":1}');
		const second = await TestMesh.in(url, "b");
		await second.close();
		await mesh.close();
	});

	it("refuses to start where it cannot write, and says what to do", async (test) => {
		test.skip(process.getuid?.() === 0, "root may write everywhere");
		using folder = tempFolder("gateway");
		chmodSync(folder.path, 0o500);
		await expect(start(folder.file("data"))).rejects.toThrow(/cannot be used/);
	});
});
