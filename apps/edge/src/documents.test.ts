import { encodeUpdate } from "@warren/sync/protocol";
import { tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as Y from "yjs";
import { bearer, stockClient, stockProviders, TestEdge, WireClient } from "./edge.testing.ts";

const versions = Object.keys(stockProviders) as (keyof typeof stockProviders)[];
let rooms = 0;
/** A room that no other test uses. */
const fresh = () => `room-${++rooms}`;

/** An edit of a text in a document of its own. */
function edit(text: string, before?: Y.Doc): Uint8Array {
	const doc = before ?? new Y.Doc();
	const known = Y.encodeStateVector(doc);
	doc.getText("t").insert(doc.getText("t").length, text);
	return Y.encodeStateAsUpdate(doc, known);
}

/** The runtime starts as fast as the machine lets it. */
const patient = { timeout: 120_000 };

describe("documents on Workers", patient, () => {
	let edge: TestEdge;
	let ada: string;
	beforeAll(async () => {
		edge = await TestEdge.open();
		ada = await edge.owner();
	});
	afterAll(() => edge[Symbol.asyncDispose]());

	describe.each(versions)("y-websocket %s, unmodified", (version) => {
		it("syncs both ways, live, and what was written before it came (S1)", async () => {
			const room = fresh();
			using one = stockClient(edge, room, ada, version);
			one.doc.getText("t").insert(0, "before ");
			await one.synced();
			using other = stockClient(edge, room, ada, version);
			await other.when((text) => text === "before ");
			other.doc.getText("t").insert(7, "and after");
			await one.when((text) => text === "before and after");
		});

		it("sees who is here, and sees them leave at once (S11, S12)", async () => {
			const room = fresh();
			using one = stockClient(edge, room, ada, version);
			using other = stockClient(edge, room, ada, version);
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
		using one = stockClient(edge, room, ada);
		await one.synced();
		one.doc.getText("t").insert(0, "first");
		using other = stockClient(edge, room, ada);
		await other.when((text) => text === "first");
		const { body: list } = await edge.call("GET", "/rooms", undefined, bearer(ada));
		expect(list.rooms.map((each: { id: string }) => each.id)).toContain(room);
		const kept = await edge.call("POST", `/rooms/${room}/checkpoints`, { label: "mine" }, bearer(ada));
		expect([kept.status, kept.body.checkpoint.label]).toEqual([201, "mine"]);
		one.doc.getText("t").insert(5, " and second");
		await other.when((text) => text === "first and second");
		const path = `/rooms/${room}/checkpoints/${kept.body.checkpoint.id}/restore`;
		expect((await edge.call("POST", path, undefined, bearer(ada))).status).toBe(204);
		await one.when((text) => text === "first");
		expect((await edge.call("GET", `/rooms/${room}/export?format=json`, undefined, bearer(ada))).body).toEqual({
			t: "first",
		});
		expect((await edge.call("GET", `/rooms/${room}/hash`, undefined, bearer(ada))).body.hash).toMatch(/^[0-9a-f]{64}$/);
		const missing = await edge.call("GET", `/rooms/${room}/checkpoints/999`, undefined, bearer(ada));
		expect([missing.status, missing.body.error]).toEqual([404, "unknown_checkpoint"]);
	});

	it("are others' as far as they are shared, and what changes reaches open sockets", async () => {
		const room = fresh();
		using one = stockClient(edge, room, ada);
		one.doc.getText("t").insert(0, "mine");
		await one.synced();
		const bob = await edge.person(ada, "bob@example.test");
		using outside = new WireClient(edge, room, bob.token);
		expect((await outside.closed).code).toBe(4403);
		const share = (access: string) => edge.call("PUT", `/rooms/${room}/shares/${bob.id}`, { access }, bearer(ada));
		expect((await share("read-only")).status).toBe(200);
		using reader = new WireClient(edge, room, bob.token);
		await reader.sync();
		expect(reader.text).toBe("mine");
		reader.send(encodeUpdate(edit("no")));
		await reader.until(() => reader.frames.some((frame) => frame.type === "auth"));
		expect((await edge.call("DELETE", `/rooms/${room}/shares/${bob.id}`, undefined, bearer(ada))).status).toBe(204);
		expect((await reader.closed).code).toBe(4403);
	});

	it("close for whoever signs out, in under a second, and for the others do not", async () => {
		const room = fresh();
		const login = { email: "ada@example.test", password: "correct horse battery" };
		const { body } = await edge.call("POST", "/auth/login", login, { "cf-connecting-ip": "198.51.100.20" });
		using stays = await new WireClient(edge, room, ada).sync();
		using leaves = await new WireClient(edge, room, body.token).sync();
		const startedAt = performance.now();
		expect((await edge.call("POST", "/auth/sign-out", {}, bearer(body.token))).status).toBe(200);
		expect((await leaves.closed).code).toBe(4401);
		expect(performance.now() - startedAt).toBeLessThan(1_000);
		stays.send(encodeUpdate(edit("still here")));
		await stays.until(() => stays.durable === 1);
		using again = new WireClient(edge, room, body.token);
		expect((await again.closed).code).toBe(4401);
	});

	it("are refused to a session that ended while its socket was on its way, as often as it tries", async () => {
		const login = { email: "ada@example.test", password: "correct horse battery" };
		for (let tries = 0; tries < 5; tries++) {
			const from = { "cf-connecting-ip": `198.51.100.${30 + tries}` };
			const { body } = await edge.call("POST", "/auth/login", login, from);
			using racing = new WireClient(edge, fresh(), body.token);
			await edge.call("POST", "/auth/sign-out", {}, bearer(body.token));
			expect([4401, 4503]).toContain((await racing.closed).code);
		}
	});

	it("take nobody's word for who they are but the hub's", async () => {
		const forged = { room: "x", access: "read-write", keepsUpdates: true, at: Date.now(), identity: { kind: "user" } };
		const header = { "x-warren-admission": Buffer.from(JSON.stringify(forged)).toString("base64url") };
		using nobody = new WireClient(edge, fresh(), "", header);
		expect((await nobody.closed).code).toBe(4401);
		const answer = await edge.call("GET", "/rooms", undefined, { ...header, ...bearer(ada) });
		expect(answer.headers.get("x-warren-admission")).toBeNull();
		using elsewhere = new WireClient(edge, fresh(), ada, { origin: "https://evil.example" });
		await elsewhere.closed;
		expect(elsewhere.frames).toEqual([]);
	});

	it("say why a message is refused, and nobody else notices (S2)", async () => {
		const room = fresh();
		using good = await new WireClient(edge, room, ada).sync();
		using bad = await new WireClient(edge, room, ada).sync();
		bad.send(Uint8Array.from([0, 2, 3, 255, 255, 255]));
		expect(await bad.closed).toMatchObject({ code: 4400 });
		using wordy = await new WireClient(edge, room, ada).sync();
		wordy.ws.send("text");
		expect((await wordy.closed).code).toBe(4400);
		good.send(encodeUpdate(edit("fine")));
		await good.until(() => good.durable === 1);
	});

	it("hold an update that is larger than one value of the storage, and give it whole", async () => {
		const room = fresh();
		const large = "y".repeat(3 * 1024 * 1024);
		using one = await new WireClient(edge, room, ada).sync();
		one.send(encodeUpdate(edit(large)));
		await one.until(() => one.durable === 1);
		using other = await new WireClient(edge, room, ada).sync();
		expect(other.text.length).toBe(large.length);
		expect((await edge.call("POST", `/rooms/${room}/checkpoints`, { label: "x" }, bearer(ada))).status).toBe(201);
		using third = await new WireClient(edge, room, ada).sync();
		expect(third.text.length).toBe(large.length);
	});

	it("that are deleted close their sockets, and their name is used up", async () => {
		const room = fresh();
		using one = await new WireClient(edge, room, ada).sync();
		one.send(encodeUpdate(edit("gone soon")));
		await one.until(() => one.durable === 1);
		expect((await edge.call("DELETE", `/rooms/${room}`, undefined, bearer(ada))).status).toBe(204);
		expect((await one.closed).code).toBe(4404);
		using again = new WireClient(edge, room, ada);
		expect((await again.closed).code).toBe(4404);
	});

	it("machines are refused in words: there is no authority here that could certify them", async () => {
		const invited = await edge.call("POST", "/v1/invites", {}, bearer(ada));
		expect([invited.status, invited.body.error]).toEqual([409, "no_authority"]);
		expect(invited.body.fix).toContain("warren hub");
		const facts = { name: "attic", hosts: ["attic.local"], port: 5151 };
		const joined = await edge.call("POST", "/v1/join", { secret: "x".repeat(30), csr: "x", ...facts });
		expect([joined.status, joined.body.error]).toEqual([409, "no_authority"]);
		expect((await edge.call("GET", "/v1/machines", undefined, bearer(ada))).body).toEqual({ machines: [] });
		const made = await edge.call("POST", "/v1/join-tokens", { name: "lab" }, bearer(ada));
		expect(made.status, "the overlay's join tokens need none").toBe(201);
		const valid = await edge.call("POST", "/v1/validate", { token: made.body.token });
		expect(valid.body).toMatchObject({ valid: true, subject: "lab" });
	});

	it("discovery is a room of one's own, and the server says who is in it (S18)", async () => {
		const carol = await edge.person(ada, "carol@example.test");
		using one = stockClient(edge, "_epicenter_discovery", ada);
		using other = stockClient(edge, "_epicenter_discovery", ada);
		using stranger = stockClient(edge, "_epicenter_discovery", carol.token);
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

it("a hub that is configured wrongly answers 503 and tells a visitor nothing of it", patient, async () => {
	await using edge = await TestEdge.open({ bindings: { WARREN_SETUP: "short" } });
	const { status, body } = await edge.call("GET", "/");
	expect([status, body.error]).toEqual([503, "unavailable"]);
	expect(JSON.stringify(body)).not.toMatch(/WARREN_SETUP|short/);
});

it("everything acknowledged is there after the runtime was stopped and started", patient, async () => {
	using folder = tempFolder("edge");
	let token: string;
	{
		await using before = await TestEdge.open({ folder: folder.path });
		token = await before.owner();
		using one = await new WireClient(before, "kept", token).sync();
		const doc = new Y.Doc();
		for (let count = 1; count <= 20; count++) one.send(encodeUpdate(edit(`${count} `, doc)));
		await one.until(() => one.durable === 20);
	}
	await using after = await TestEdge.open({ folder: folder.path });
	using other = await new WireClient(after, "kept", token).sync();
	expect(other.text).toBe(Array.from({ length: 20 }, (_, at) => `${at + 1} `).join(""));
});

it(
	"a room that slept goes on where it was: no first sync, counts and presence as before (S22)",
	patient,
	async (context) => {
		context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "the runtime puts a room to sleep after ten quiet seconds");
		await using edge = await TestEdge.open();
		const ada = await edge.owner();
		const opened = async () => (await edge.call("GET", "/~opened")).body as number;
		using writer = await new WireClient(edge, "sleepy", ada).sync();
		using reader = await new WireClient(edge, "sleepy", ada).sync();
		const doc = new Y.Doc();
		writer.send(encodeUpdate(edit("before ", doc)));
		await Promise.all([writer.until(() => writer.durable === 1), reader.until(() => reader.text === "before ")]);
		const before = await opened();
		const heard = reader.frames.length;
		await new Promise((resolve) => setTimeout(resolve, 25_000));
		writer.send(encodeUpdate(edit("after", doc)));
		await Promise.all([writer.until(() => writer.durable === 2), reader.until(() => reader.text === "before after")]);
		expect(await opened(), "it came into memory anew").toBe(before + 1);
		expect(reader.frames.length, "nothing but the update was said").toBe(heard + 1);
	},
);
