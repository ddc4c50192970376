import { mkdirSync, writeFileSync } from "node:fs";
import { noNats, noPostgres, startCommand, tempFolder } from "@warren/testkit";
import { fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type Cluster, print, setupOf, stall, startHubs } from "./cluster.ts";
import { SyncClient } from "./sync-client.ts";

const reason = noPostgres() ?? noNats();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };

describe.skipIf(reason !== null)(
	"three hubs over one PostgreSQL and one NATS (skipped where one of them is not installed)",
	() => {
		let cluster: Cluster;
		let session: string;

		async function call(index: number, method: string, path: string, body?: unknown, token = session) {
			const answer = await fetch(`${cluster.at(index).origin}${path}`, {
				method,
				headers: {
					...(body === undefined ? {} : { "content-type": "application/json" }),
					...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
				},
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
			const text = await answer.text();
			return { status: answer.status, body: text === "" ? null : (JSON.parse(text) as any) };
		}
		const origins = () => cluster.instances.map((each) => each.origin);
		const signIn = async (index: number) =>
			(await call(index, "POST", "/auth/login", { email: person.email, password: person.password }, "")).body
				.token as string;

		beforeAll(async () => {
			cluster = await startHubs();
			const setup = setupOf(cluster);
			const answer = await fetch(`${cluster.at(0).origin}/auth/signup`, {
				method: "POST",
				headers: { "content-type": "application/json", "x-warren-setup": setup },
				body: JSON.stringify(person),
			});
			session = ((await answer.json()) as { token: string }).token;
		}, 240_000);
		afterAll(async () => {
			await cluster?.[Symbol.asyncDispose]();
		});

		it("any client is at home at any instance: a session and a document of one are there at all", async () => {
			expect((await call(0, "POST", "/rooms", { id: "plan", title: "Plan" })).status).toBe(201);
			for (const index of [1, 2]) {
				expect((await call(index, "GET", "/me")).body.user.email).toBe(person.email);
				expect((await call(index, "GET", "/rooms/plan")).body.title).toBe("Plan");
			}
		});

		it("a session that ends at one instance ends at all, its open sockets too", async () => {
			const token = await signIn(1);
			const closed = sockets(origins(), "plan", token);
			await closed.open;
			const { deviceId } = (await call(1, "GET", "/me", undefined, token)).body.session ?? {};
			const devices = (await call(0, "GET", "/me/devices")).body.devices as { id: string; current: boolean }[];
			const other = deviceId ?? devices.find((each) => !each.current)?.id;
			const startedAt = performance.now();
			expect((await call(0, "DELETE", `/me/devices/${other}`)).status).toBeLessThan(300);
			expect(await closed.codes).toEqual([4401, 4401, 4401]);
			print("hub, a revocation at all three instances", performance.now() - startedAt);
			for (const index of [0, 1, 2]) expect((await call(index, "GET", "/me", undefined, token)).status).toBe(401);
		});

		it("a session that ends while an instance is cut off from NATS ends there too", async () => {
			const token = await signIn(1);
			const devices = (await call(0, "GET", "/me/devices")).body.devices as { id: string; current: boolean }[];
			const other = devices.find((each) => !each.current)?.id;
			const closed = sockets([cluster.at(2).origin], "plan", token);
			await closed.open;
			const { toNats } = cluster.at(2);
			toNats.faults.stalled = true;
			try {
				const startedAt = performance.now();
				await call(0, "DELETE", `/me/devices/${other}`);
				expect(await closed.codes).toEqual([4401]);
				print("hub, a revocation at an instance without NATS", performance.now() - startedAt);
			} finally {
				toNats.faults.stalled = false;
				toNats.cut();
			}
		});

		it("what is half, wrong or not there refuses to start, and says why", async () => {
			using folder = tempFolder("refused");
			const start = async (name: string, args: readonly string[], secret?: string) => {
				const home = folder.file(name);
				mkdirSync(`${home}/data`, { recursive: true, mode: 0o700 });
				if (secret !== undefined) writeFileSync(`${home}/data/hub.secret`, `${secret}\n`, { mode: 0o600 });
				const hub = startCommand(["hub", "--http", "--host", "127.0.0.1", "--port", "0", "--json", ...args], { home });
				return { code: await hub.exited, log: hub.log() };
			};
			const { toDatabase, toNats } = cluster.at(0);
			const both = cluster.backends(toDatabase, toNats);
			expect(await start("half", both.slice(0, 2))).toMatchObject({ code: 1, log: expect.stringContaining("--nats") });
			expect(await start("new", both)).toMatchObject({ code: 1, log: expect.stringContaining("has no hub.secret") });
			const other = await start("other", both, "of-another-installation-altogether-0123456789");
			expect(other).toMatchObject({ code: 1, log: expect.stringContaining("of another installation") });
			expect(await start("no-nats", [...both.slice(0, 3), "nats://127.0.0.1:1"])).toMatchObject({
				code: 1,
				log: expect.stringContaining("NATS at 127.0.0.1:1 cannot be reached"),
			});
			const noDatabase = ["--database", "postgres://warren@127.0.0.1:1/warren", ...both.slice(2)];
			expect(await start("no-database", noDatabase)).toMatchObject({
				code: 1,
				log: expect.stringContaining("warren on 127.0.0.1 cannot be opened"),
			});
		}, 240_000);

		it("kill -9 of each instance, of NATS and of PostgreSQL, and partitions, under load: nothing acknowledged is lost, nothing comes twice", async () => {
			const clients = [0, 1, 2].map((index) => new SyncClient(origins(), index, "load", session));
			const inFlight = 4;
			let written = 0;
			let stop = false;
			/** Each writes as fast as it is told that its words are kept. */
			const writing = clients.map(async (client, who) => {
				for (let n = 0; !stop; n++) {
					await client.until(() => stop || client.unacknowledged < inFlight);
					client.set(`${who}-${n}`);
					written += 1;
					// Fifty words a second and writer: load enough, and the hub's limit is far.
					await new Promise((resolve) => setTimeout(resolve, 20));
				}
			});
			const progress = async () => {
				const marks = clients.map((client) => client.acknowledged.size + inFlight + 5);
				await Promise.all(
					clients.map((client, who) => client.until(() => client.acknowledged.size >= (marks[who] as number))),
				);
			};
			/** From the fault until every client was promised something new. */
			const recovery = async (
				what: string,
				fault: () => Promise<void> | void,
				repair?: () => Promise<unknown> | void,
			) => {
				await progress();
				const startedAt = performance.now();
				await fault();
				await progress();
				print(`hub, ${what}`, performance.now() - startedAt);
				await repair?.();
			};
			for (const index of [0, 1, 2]) {
				await recovery(
					`kill -9 of instance ${index}`,
					async () => void (await cluster.at(index).process.kill("SIGKILL")),
					() => cluster.add(index),
				);
			}
			await recovery(
				"kill -9 of NATS",
				() => cluster.nats.kill(),
				() => cluster.nats.restart(),
			);
			await recovery("kill -9 of PostgreSQL, its restart included", () => {
				cluster.postgres.kill();
				cluster.postgres.restart();
			});
			const [first, second] = [cluster.at(0), cluster.at(1)];
			await recovery(
				"an instance cut off from NATS",
				() => stall(first.toNats, true),
				() => stall(first.toNats, false),
			);
			await recovery(
				"an instance cut off from PostgreSQL",
				() => stall(second.toDatabase, true),
				() => stall(second.toDatabase, false),
			);
			for (const index of [0, 1, 2]) {
				await recovery(
					`instance ${index} stops`,
					async () => void (await cluster.at(index).process.kill("SIGTERM")),
					() => cluster.add(index),
				);
			}
			stop = true;
			await Promise.all(writing);
			await Promise.all(clients.map((client) => client.until(() => client.unacknowledged === 0)));
			const all = new Set(clients.flatMap((client) => [...client.acknowledged]));
			expect(all.size).toBe(written);
			await Promise.all(clients.map((client) => client.until(() => client.keys.size === written)));
			for (const index of [0, 1, 2]) {
				using late = new SyncClient([cluster.at(index).origin], 0, "load", session);
				await late.until(() => late.keys.size >= written);
				const kept = late.keys;
				expect([...all].filter((key) => !kept.has(key))).toEqual([]);
			}
			expect(clients.map((client) => client.duplicates)).toEqual([0, 0, 0]);
			expect(written).toBeGreaterThan(300);
			for (const client of clients) client[Symbol.dispose]();
		}, 180_000);
	},
);

/** A socket at each of these, and with what each was closed. */
function sockets(origins: readonly string[], room: string, token: string) {
	const opened = origins.map((origin) => {
		const ws = new WebSocket(`${origin.replace("http", "ws")}/rooms/${room}/sync`, ["warren.v1", `bearer.${token}`]);
		ws.on("error", () => {});
		ws.on("open", () => ws.send(Uint8Array.of(0, 0, 1, 0)));
		return ws;
	});
	const open = Promise.all(
		opened.map(
			(ws) =>
				new Promise<void>((resolve, reject) => {
					// Its first message says that it is in the room.
					ws.once("message", () => resolve());
					ws.once("close", (code) => reject(new Error(`closed ${code}`)));
				}),
		),
	);
	const codes = Promise.all(opened.map((ws) => new Promise<number>((resolve) => ws.once("close", resolve))));
	return { open, codes };
}
