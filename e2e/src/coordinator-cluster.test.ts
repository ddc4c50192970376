import { randomBytes } from "node:crypto";
import { request as httpsRequest } from "node:https";
import { noNats, noPostgres } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, print, stall } from "./cluster.ts";
import { coordinatorAdmin as adminToken, Coordinators } from "./coordinators.ts";

const reason = noPostgres() ?? noNats();

interface Event {
	readonly id: string | undefined;
	readonly event: string | undefined;
	readonly data: any;
}

describe.skipIf(reason !== null)(
	"two coordinators over one PostgreSQL (skipped where PostgreSQL or nats-server is missing)",
	() => {
		let cluster: Cluster;
		let coordinators: Coordinators;
		const tlsOf = (peer: string) => coordinators.tlsOf(peer);
		const agents = new Map<string, Agent>();

		const call = async (peer: string, index: number, method: string, path: string, body?: unknown, headers = {}) => {
			const dispatcher = agents.get(peer) ?? new Agent({ pipelining: 0, connect: tlsOf(peer) });
			agents.set(peer, dispatcher);
			const answer = await fetch(`https://localhost:${cluster.at(index).port}${path}`, {
				method,
				dispatcher,
				headers: { "content-type": "application/json", ...headers },
				...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
			});
			const text = await answer.text();
			return {
				status: answer.status,
				etag: answer.headers.get("etag") ?? "",
				body: /^[[{]/.test(text) ? JSON.parse(text) : text,
			};
		};
		const keys = new Map<string, string>();
		const register = (peer: string, index: number) => {
			const key = keys.get(peer) ?? randomBytes(32).toString("base64");
			keys.set(peer, key);
			return call(peer, index, "POST", "/v1/mesh/register", { wg_public_key: key, display_name: peer });
		};

		/** A reader of the roster; the last id that it saw is where it goes on. */
		function follow(peer: string, index: number, peerId: string, after?: string) {
			const events: Event[] = [];
			const watchers = new Set<() => void>();
			let ended = false;
			const asked = httpsRequest({
				...{ host: "127.0.0.1", port: cluster.at(index).port, ...tlsOf(peer) },
				path: `/v1/mesh/peers/stream?peer_id=${peerId}&deltas=1`,
				headers: { host: "localhost", ...(after === undefined ? {} : { "last-event-id": after }) },
			});
			let rest = "";
			const tell = () => {
				for (const watcher of [...watchers]) watcher();
			};
			asked.on("response", (answer) => {
				answer.setEncoding("utf8").on("data", (text: string) => {
					const parts = (rest + text).split("\n\n");
					rest = parts.pop() as string;
					for (const part of parts) {
						const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, "m").exec(part)?.[1];
						if (field("data") !== undefined)
							events.push({ id: field("id"), event: field("event"), data: JSON.parse(field("data") as string) });
					}
					tell();
				});
				answer.on("error", () => {});
				answer.on("close", () => {
					ended = true;
					tell();
				});
			});
			asked.on("error", () => {
				ended = true;
				tell();
			});
			asked.end();
			return {
				events,
				get lastId() {
					return events.findLast((each) => each.id !== undefined)?.id;
				},
				until: (condition: (events: readonly Event[], ended: boolean) => boolean) =>
					new Promise<void>((resolve) => {
						const look = () => {
							if (!condition(events, ended)) return;
							watchers.delete(look);
							resolve();
						};
						watchers.add(look);
						look();
					}),
				close: () => asked.destroy(),
			};
		}

		/** Asks until somebody leads and answers. */
		const eventually = async (work: () => Promise<{ status: number; body: any }>) => {
			let answer: { status: number; body: any } | undefined;
			await expect
				.poll(
					async () => {
						answer = await work().catch(() => undefined);
						return answer?.status;
					},
					{ timeout: 60_000, interval: 50 },
				)
				.toBe(200);
			return answer as { status: number; body: any };
		};
		const leader = () => coordinators.leader();

		beforeAll(async () => {
			coordinators = await Coordinators.start(["one", "two", "three", "late"]);
			cluster = coordinators.cluster;
		}, 240_000);
		afterAll(async () => {
			for (const agent of agents.values()) await agent.destroy();
			await coordinators?.[Symbol.asyncDispose]();
		}, 180_000);

		it("a machine is the same at both: its certificate, its address, its observed address, and who it sees", async () => {
			const one = await register("one", 0);
			const two = await register("two", 1);
			expect([one.status, two.status]).toEqual([200, 200]);
			expect([one.body.ula, two.body.ula]).toEqual(["fd5a:1f00:0000:0001::1", "fd5a:1f00:0000:0002::1"]);
			expect(two.body.peers).toMatchObject([{ display_name: "one" }]);
			expect([one.body.observed_ip, two.body.observed_ip]).toEqual(["127.0.0.1", "127.0.0.1"]);
			for (const index of [0, 1]) {
				const beat = await call("one", index, "POST", "/v1/mesh/heartbeat", { peer_id: one.body.peer_id });
				expect(beat.body.peers).toMatchObject([{ display_name: "two" }]);
				const posing = await call("two", index, "POST", "/v1/mesh/heartbeat", { peer_id: one.body.peer_id });
				expect(posing.status, "another's certificate").toBe(403);
			}
		}, 120_000);

		it("kill -9 of the leader, its end and its being cut off: readers go on at the other one from their last event, addresses and policy stay", async () => {
			const before = new Map<string, { ula: string; peer_id: string }>();
			for (const peer of ["one", "two", "three"]) before.set(peer, (await register(peer, 0)).body);
			const { peer_id: viewer } = before.get("one") as { peer_id: string };
			const run = (before.get("one") as unknown as { run: string }).run;
			let reader = follow("one", 0, viewer);
			await reader.until((events) => events.some((each) => each.event === "snapshot_end"));
			const faults = [
				["kill -9 of the leader", (index: number) => cluster.at(index).process.kill("SIGKILL")],
				["the leader stops", (index: number) => cluster.at(index).process.kill("SIGTERM")],
				["the leader cut off from PostgreSQL", (index: number) => stall(cluster.at(index).toDatabase, true)],
			] as const;
			for (const [round, [what, fault]] of faults.entries()) {
				const index = await leader();
				const other = 1 - index;
				const startedAt = performance.now();
				await fault(index);
				await reader.until((_events, ended) => ended);
				const changed = await eventually(() =>
					call("two", other, "POST", "/v1/mesh/heartbeat", {
						peer_id: before.get("two")?.peer_id,
						wg_listen_port: 40_000 + round,
					}),
				);
				print(`coordinator, ${what}`, performance.now() - startedAt);
				expect(changed.body.peers.map((each: { display_name: string }) => each.display_name).sort()).toEqual([
					"one",
					"three",
				]);
				expect(changed.body.run, "no reason to wait for the others").toBe(run);
				const last = reader.lastId as string;
				reader = follow("one", other, viewer, last);
				await reader.until((events) => events.some((each) => each.event === "roster_resumed"));
				// What changed meanwhile and nothing else; never everything anew.
				expect(reader.events.map((each) => each.event)).not.toContain("snapshot_begin");
				await reader.until((events) => events.some((each) => JSON.stringify(each.data).includes(`:${40_000 + round}`)));
				for (const peer of ["one", "two", "three"]) {
					const again = await register(peer, other);
					expect([again.body.ula, again.body.peer_id]).toEqual([before.get(peer)?.ula, before.get(peer)?.peer_id]);
				}
				if (what.includes("cut off")) stall(cluster.at(index).toDatabase, false);
				else await cluster.add(index);
			}
			reader.close();
		}, 240_000);

		it("a policy that one takes counts at the other after its end, and no reader goes on over it", async () => {
			const index = await leader();
			const { body: one } = await register("one", index);
			const reader = follow("one", index, one.peer_id);
			await reader.until((events) => events.some((each) => each.event === "snapshot_end"));
			const admin = { authorization: `Bearer ${adminToken}` };
			const { etag } = await call("one", index, "GET", "/v1/policy", undefined, admin);
			const nobody = '{"acls":[]}';
			const put = await call("one", 1 - index, "PUT", "/v1/policy", nobody, { ...admin, "if-match": etag });
			expect(put.status).toBe(200);
			const named = await call("one", index, "PUT", "/v1/services/web", {}, admin);
			expect(named.body).toEqual({ name: "web", uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) });
			await reader.until((events) => events.filter((each) => each.event === "peer_removed").length === 2);
			await cluster.at(index).process.kill("SIGKILL");
			const kept = await eventually(() => call("one", 1 - index, "GET", "/v1/policy", undefined, admin));
			expect(kept.body).toEqual(JSON.parse(nobody));
			// Services keep their addresses, too.
			const renamed = await eventually(() => call("one", 1 - index, "PUT", "/v1/services/web", {}, admin));
			expect(renamed.body).toEqual(named.body);
			const { body: late } = await eventually(() => register("late", 1 - index));
			expect(late.peers).toEqual([]);
			expect(late.ula).not.toBe(one.ula);
			await cluster.add(index);
		}, 180_000);
	},
);
