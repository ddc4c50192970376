import { encodeUpdate } from "@warren/sync/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as Y from "yjs";
import { bearer, from, type HubUnderTest, stockClient, stockProviders, WireClient } from "./edge.testing.ts";

const versions = Object.keys(stockProviders) as (keyof typeof stockProviders)[];
let rooms = 0;
/** A room that no other test uses. */
const fresh = () => `room-${++rooms}`;

/** An edit of a text in a document of its own. */
export function edit(text: string, before?: Y.Doc): Uint8Array {
	const doc = before ?? new Y.Doc();
	const known = Y.encodeStateVector(doc);
	doc.getText("t").insert(doc.getText("t").length, text);
	return Y.encodeStateAsUpdate(doc, known);
}

/** The runtime starts as fast as the machine lets it. */
const patient = { timeout: 120_000 };

/** What every hub does with documents, whatever it runs on. @param open a fresh one. */
export function documentsSuite(name: string, open: () => Promise<HubUnderTest>): void {
	describe(`documents ${name}`, patient, () => {
		let hub: HubUnderTest;
		let ada: string;
		beforeAll(async () => {
			hub = await open();
			ada = await hub.owner();
		}, patient.timeout);
		afterAll(() => hub?.[Symbol.asyncDispose]());

		describe.each(versions)("y-websocket %s, unmodified", (version) => {
			it("syncs both ways, live, and what was written before it came (S1)", async () => {
				const room = fresh();
				using one = stockClient(hub, room, ada, version);
				one.doc.getText("t").insert(0, "before ");
				await one.synced();
				using other = stockClient(hub, room, ada, version);
				await other.when((text) => text === "before ");
				other.doc.getText("t").insert(7, "and after");
				await one.when((text) => text === "before and after");
			});

			it("sees who is here, and sees them leave at once (S11, S12)", async () => {
				const room = fresh();
				using one = stockClient(hub, room, ada, version);
				using other = stockClient(hub, room, ada, version);
				one.provider.awareness.setLocalState({ name: "one" });
				other.provider.awareness.setLocalState({ name: "other" });
				await one.whenPresent((names) => names.includes("other"));
				await other.whenPresent((names) => names.includes("one"));
				other.provider.destroy();
				await one.whenPresent((names) => !names.includes("other"));
			});
		});

		it("are listed, exported, hashed, kept in history and restored, by the Node hub's own routes", async () => {
			const room = fresh();
			using one = stockClient(hub, room, ada);
			await one.synced();
			one.doc.getText("t").insert(0, "first");
			using other = stockClient(hub, room, ada);
			await other.when((text) => text === "first");
			const { body: list } = await hub.call("GET", "/rooms", undefined, bearer(ada));
			expect(list.rooms.map((each: { id: string }) => each.id)).toContain(room);
			const kept = await hub.call("POST", `/rooms/${room}/checkpoints`, { label: "mine" }, bearer(ada));
			expect([kept.status, kept.body.checkpoint.label]).toEqual([201, "mine"]);
			one.doc.getText("t").insert(5, " and second");
			await other.when((text) => text === "first and second");
			const path = `/rooms/${room}/checkpoints/${kept.body.checkpoint.id}/restore`;
			expect((await hub.call("POST", path, undefined, bearer(ada))).status).toBe(204);
			await one.when((text) => text === "first");
			expect((await hub.call("GET", `/rooms/${room}/export?format=json`, undefined, bearer(ada))).body).toEqual({
				t: "first",
			});
			expect((await hub.call("GET", `/rooms/${room}/hash`, undefined, bearer(ada))).body.hash).toMatch(
				/^[0-9a-f]{64}$/,
			);
			const missing = await hub.call("GET", `/rooms/${room}/checkpoints/999`, undefined, bearer(ada));
			expect([missing.status, missing.body.error]).toEqual([404, "unknown_checkpoint"]);
		});

		it("are others' as far as they are shared, and what changes reaches open sockets", async () => {
			const room = fresh();
			using one = stockClient(hub, room, ada);
			one.doc.getText("t").insert(0, "mine");
			await one.synced();
			const bob = await hub.person(ada, "bob@example.test");
			using outside = new WireClient(hub, room, bob.token);
			expect((await outside.closed).code).toBe(4403);
			const share = (access: string) => hub.call("PUT", `/rooms/${room}/shares/${bob.id}`, { access }, bearer(ada));
			expect((await share("read-only")).status).toBe(200);
			using reader = new WireClient(hub, room, bob.token);
			await reader.sync();
			expect(reader.text).toBe("mine");
			reader.send(encodeUpdate(edit("no")));
			await reader.until(() => reader.frames.some((frame) => frame.type === "auth"));
			expect((await hub.call("DELETE", `/rooms/${room}/shares/${bob.id}`, undefined, bearer(ada))).status).toBe(204);
			expect((await reader.closed).code).toBe(4403);
		});

		it("close for whoever signs out, in under a second, and for the others do not", async () => {
			const room = fresh();
			const login = { email: "ada@example.test", password: "correct horse battery" };
			const { body } = await hub.call("POST", "/auth/login", login, from("198.51.100.20"));
			using stays = await new WireClient(hub, room, ada).sync();
			using leaves = await new WireClient(hub, room, body.token).sync();
			const startedAt = performance.now();
			expect((await hub.call("POST", "/auth/sign-out", {}, bearer(body.token))).status).toBe(200);
			expect((await leaves.closed).code).toBe(4401);
			expect(performance.now() - startedAt).toBeLessThan(1_000);
			stays.send(encodeUpdate(edit("still here")));
			await stays.until(() => stays.durable === 1);
			using again = new WireClient(hub, room, body.token);
			expect((await again.closed).code).toBe(4401);
		});

		it("are refused to a session that ended while its socket was on its way, as often as it tries", async () => {
			const login = { email: "ada@example.test", password: "correct horse battery" };
			for (let tries = 0; tries < 5; tries++) {
				const address = from(`198.51.100.${30 + tries}`);
				const { body } = await hub.call("POST", "/auth/login", login, address);
				using racing = new WireClient(hub, fresh(), body.token);
				await hub.call("POST", "/auth/sign-out", {}, bearer(body.token));
				expect([4401, 4503]).toContain((await racing.closed).code);
			}
		});

		it("take nobody's word for who they are but the hub's", async () => {
			const forged = {
				room: "x",
				access: "read-write",
				keepsUpdates: true,
				at: Date.now(),
				identity: { kind: "user" },
			};
			const header = { "x-warren-admission": Buffer.from(JSON.stringify(forged)).toString("base64url") };
			using nobody = new WireClient(hub, fresh(), "", header);
			expect((await nobody.closed).code).toBe(4401);
			const answer = await hub.call("GET", "/rooms", undefined, { ...header, ...bearer(ada) });
			expect(answer.headers.get("x-warren-admission")).toBeNull();
			using elsewhere = new WireClient(hub, fresh(), ada, { origin: "https://evil.example" });
			await elsewhere.closed;
			expect(elsewhere.frames).toEqual([]);
		});

		it("say why a message is refused, and nobody else notices (S2)", async () => {
			const room = fresh();
			using good = await new WireClient(hub, room, ada).sync();
			using bad = await new WireClient(hub, room, ada).sync();
			bad.send(Uint8Array.from([0, 2, 3, 255, 255, 255]));
			expect(await bad.closed).toMatchObject({ code: 4400 });
			using wordy = await new WireClient(hub, room, ada).sync();
			wordy.ws.send("text");
			expect((await wordy.closed).code).toBe(4400);
			good.send(encodeUpdate(edit("fine")));
			await good.until(() => good.durable === 1);
		});

		it("hold an update that is larger than one value of the storage, and give it whole", async () => {
			const room = fresh();
			const large = "y".repeat(3 * 1024 * 1024);
			using one = await new WireClient(hub, room, ada).sync();
			one.send(encodeUpdate(edit(large)));
			await one.until(() => one.durable === 1);
			using other = await new WireClient(hub, room, ada).sync();
			expect(other.text.length).toBe(large.length);
			expect((await hub.call("POST", `/rooms/${room}/checkpoints`, { label: "x" }, bearer(ada))).status).toBe(201);
			using third = await new WireClient(hub, room, ada).sync();
			expect(third.text.length).toBe(large.length);
		});

		it("that are deleted close their sockets, and their name is used up", async () => {
			const room = fresh();
			using one = await new WireClient(hub, room, ada).sync();
			one.send(encodeUpdate(edit("gone soon")));
			await one.until(() => one.durable === 1);
			expect((await hub.call("DELETE", `/rooms/${room}`, undefined, bearer(ada))).status).toBe(204);
			expect((await one.closed).code).toBe(4404);
			using again = new WireClient(hub, room, ada);
			expect((await again.closed).code).toBe(4404);
		});

		it("discovery is a room of one's own, and the server says who is in it (S18)", async () => {
			const carol = await hub.person(ada, "carol@example.test");
			using one = stockClient(hub, "_epicenter_discovery", ada);
			using other = stockClient(hub, "_epicenter_discovery", ada);
			using stranger = stockClient(hub, "_epicenter_discovery", carol.token);
			const state = { type: "desktop", deviceId: "d1", url: "http://192.0.2.1:1", userId: "forged" };
			one.provider.awareness.setLocalState(state);
			await other.whenPresent(() =>
				[...other.provider.awareness.getStates().values()].some((each) => each["deviceId"] === "d1"),
			);
			const seen = [...other.provider.awareness.getStates().values()].find((each) => each["deviceId"] === "d1");
			expect(seen).toMatchObject({ urlRefused: expect.any(String), sessionDevice: expect.any(String) });
			expect(seen?.["url"]).toBeUndefined();
			expect(seen?.["userId"]).not.toBe("forged");
			await stranger.synced();
			expect(JSON.stringify([...stranger.provider.awareness.getStates().values()])).not.toContain("d1");
		});
	});
}
