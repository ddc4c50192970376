import { closeCodes } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import * as Y from "yjs";
import { type StockClient, stockClient, when } from "../provider.testing.ts";
import { openTestHub, type TestHub } from "../relay.testing.ts";

const put = (body: unknown) => ({
	method: "PUT",
	body: JSON.stringify(body),
	headers: { "content-type": "application/json" },
});
const post = (body: unknown) => ({ ...put(body), method: "POST" });

function closed(client: StockClient): Promise<{ code: number; reason: string }> {
	const [first] = client.closes;
	if (first !== undefined) return Promise.resolve(first);
	return new Promise((resolve) =>
		client.provider.once("connection-close", (event) =>
			resolve({ code: event?.code ?? 0, reason: event?.reason ?? "" }),
		),
	);
}

/** The code that a socket to this path is closed with, or the status that refused it. */
function outcome(hub: TestHub, path: string, user = "alice", headers: Record<string, string> = {}): Promise<string> {
	return new Promise((resolve) => {
		const ws = new WebSocket(hub.wsUrl + path, ["warren.v1", `bearer.session-${user}`], { headers });
		ws.on("unexpected-response", (_request, response) => resolve(`status ${response.statusCode}`));
		ws.on("close", (code) => resolve(`close ${code}`));
		ws.on("message", () => ws.close(1000));
		ws.on("error", () => {});
	});
}

describe("documents over /rooms", () => {
	it("are listed, made, renamed and deleted, each by those who may", async () => {
		await using hub = await openTestHub();
		const made = await hub.fetch("alice", "/rooms", post({ title: "Plans" }));
		expect(made.status).toBe(201);
		const { id } = (await made.json()) as { id: string };
		expect(await (await hub.fetch("alice", "/rooms")).json()).toMatchObject({ rooms: [{ id, access: "owner" }] });
		expect(await (await hub.fetch("bob", "/rooms")).json()).toEqual({ rooms: [] });
		expect((await hub.fetch("bob", `/rooms/${id}`)).status).toBe(403);
		const renamed = await hub.fetch("alice", `/rooms/${id}`, { ...put({ title: "New" }), method: "PATCH" });
		expect(await renamed.json()).toMatchObject({ title: "New" });
		expect((await hub.fetch("bob", `/rooms/${id}`, { method: "DELETE" })).status).toBe(403);
		expect((await hub.fetch("alice", "/rooms", post({ id, title: "again" }))).status).toBe(409);
		expect((await hub.fetch("alice", `/rooms/${id}`, { method: "DELETE" })).status).toBe(204);
		expect((await hub.fetch("alice", `/rooms/${id}`)).status).toBe(404);
	});

	it("with hostile ids get a definite answer, over HTTP and WebSocket", async () => {
		await using hub = await openTestHub();
		const hostile = [
			":",
			"a:b",
			"*",
			"a*",
			"a%2fb",
			"..%2f",
			"a%00b",
			"%e2%80%ae",
			"caf%c3%a9",
			"a..b",
			"_x",
			"-x",
			`x${"y".repeat(128)}`,
		];
		for (const id of hostile) {
			expect((await hub.fetch("alice", `/rooms/${id}`)).status, id).toBe(400);
			expect(await outcome(hub, `/rooms/${id}/sync`), id).toMatch(/^(close 4400|status 400)$/);
		}
		expect(await outcome(hub, "/rooms/a/b/sync")).toBe("status 404");
		expect(await outcome(hub, "/rooms//sync")).toBe("status 404");
		expect(await outcome(hub, `/rooms/x${"y".repeat(127)}/sync`)).toBe("close 1000");
		expect(await hub.relay.log.rooms()).toEqual([]);
	});

	it("refuse a page of another origin and a rebound name, and take a program that sends no Origin", async () => {
		await using hub = await openTestHub();
		for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1"]) {
			expect(await outcome(hub, "/rooms/a/sync", "alice", { origin }), origin).toBe("status 403");
		}
		expect(await outcome(hub, "/rooms/a/sync", "alice", { host: "evil.example" })).toBe("status 421");
		expect(await outcome(hub, "/rooms/a/sync", "alice", { origin: hub.url })).toBe("close 1000");
		expect(await outcome(hub, "/rooms/a/sync")).toBe("close 1000");
		expect(await outcome(hub, "/rooms/a/sync", "nobody.")).toBe("close 4401");
		// An authority that cannot be asked is no refusal: the client must not give up.
		expect(await outcome(hub, "/rooms/a/sync", "hub-away")).toBe("close 4503");
	});

	it("are exported as an update and as JSON", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes");
		await alice.synced();
		alice.doc.getText("t").insert(0, "hello");
		using other = stockClient(hub.wsUrl, "notes");
		await when(other.doc, () => other.text() === "hello");
		expect(await (await hub.fetch("alice", "/rooms/notes/export?format=json")).json()).toEqual({ t: "hello" });
		const exported = await hub.fetch("alice", "/rooms/notes/export");
		const doc = new Y.Doc();
		Y.applyUpdate(doc, new Uint8Array(await exported.arrayBuffer()));
		expect(doc.getText("t").toJSON()).toBe("hello");
		expect((await hub.fetch("alice", "/rooms/notes/export?format=pdf")).status).toBe(400);
	});
});

describe("sharing", () => {
	it("read-only lets see and not write (S13); read-write lets write; nothing lets nothing", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes");
		await alice.synced();
		alice.doc.getText("t").insert(0, "mine");
		using stranger = stockClient(hub.wsUrl, "notes", { user: "bob" });
		expect((await closed(stranger)).code).toBe(closeCodes.forbidden);
		expect((await hub.fetch("alice", "/rooms/notes/shares/bob", put({ access: "read-only" }))).status).toBe(200);
		using bob = stockClient(hub.wsUrl, "notes", { user: "bob" });
		await when(bob.doc, () => bob.text() === "mine");
		bob.doc.getText("t").insert(0, "not ");
		alice.doc.getText("t").insert(4, "!");
		await when(bob.doc, () => bob.text() === "not mine!");
		expect(await hub.history.json("notes")).toEqual({ t: "mine!" });
		// Given leave, the same client comes back by itself and what it wrote arrives.
		const disconnected = closed(bob);
		await hub.fetch("alice", "/rooms/notes/shares/bob", put({ access: "read-write" }));
		expect((await disconnected).code).toBe(closeCodes.unavailable);
		await when(alice.doc, () => alice.text() === "not mine!");
		expect((await hub.fetch("bob", "/rooms/notes/shares")).status).toBe(403);
	});

	it("that becomes read-only or ends closes what is open, at once", async () => {
		await using hub = await openTestHub();
		await hub.fetch("alice", "/rooms", post({ id: "notes", title: "Notes" }));
		await hub.fetch("alice", "/rooms/notes/shares/bob", put({ access: "read-write" }));
		using bob = stockClient(hub.wsUrl, "notes", { user: "bob" });
		await bob.synced();
		const downgraded = closed(bob);
		await hub.fetch("alice", "/rooms/notes/shares/bob", put({ access: "read-only" }));
		expect((await downgraded).code).toBe(closeCodes.unavailable);
		await bob.synced();
		bob.closes.length = 0;
		const revoked = closed(bob);
		await hub.fetch("alice", "/rooms/notes/shares/bob", { method: "DELETE" });
		expect(await revoked).toMatchObject({
			code: closeCodes.forbidden,
			reason: expect.stringContaining("no longer shared"),
		});
		expect(bob.provider.shouldConnect).toBe(false);
	});

	it("ends with the document: those who have it open are told", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes");
		await alice.synced();
		alice.doc.getText("t").insert(0, "x");
		const told = closed(alice);
		await hub.fetch("alice", "/rooms/notes", { method: "DELETE" });
		expect((await told).code).toBe(closeCodes.unknown);
		expect(await hub.relay.log.rooms()).toEqual([]);
	});
});

describe("history", () => {
	it("brings a checkpoint's content back to clients that are connected, and keeps what was before", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes");
		await alice.synced();
		alice.doc.getText("t").insert(0, "good");
		using other = stockClient(hub.wsUrl, "notes");
		await when(other.doc, () => other.text() === "good");
		const { checkpoint } = (await (
			await hub.fetch("alice", "/rooms/notes/checkpoints", post({ label: "good one" }))
		).json()) as {
			checkpoint: { id: number };
		};
		alice.doc.getText("t").delete(0, 4);
		alice.doc.getText("t").insert(0, "ruined");
		await when(other.doc, () => other.text() === "ruined");
		const restored = await hub.fetch("alice", `/rooms/notes/checkpoints/${checkpoint.id}/restore`, { method: "POST" });
		expect(restored.status).toBe(204);
		await when(alice.doc, () => alice.text() === "good");
		await when(other.doc, () => other.text() === "good");
		const listed = (await (await hub.fetch("alice", "/rooms/notes/checkpoints")).json()) as {
			checkpoints: { label: string }[];
		};
		expect(listed.checkpoints.map((each) => each.label)).toContain(`before restoring ${checkpoint.id}`);
		expect((await hub.fetch("alice", "/rooms/notes/checkpoints/999/restore", { method: "POST" })).status).toBe(404);
		expect((await hub.fetch("alice", "/rooms/notes/checkpoints/0x1/restore", { method: "POST" })).status).toBe(400);
	});

	it("gives a hash by which a client can tell whether it has diverged", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes");
		await alice.synced();
		alice.doc.getText("t").insert(0, "hello");
		using other = stockClient(hub.wsUrl, "notes");
		await when(other.doc, () => other.text() === "hello");
		const first = await (await hub.fetch("alice", "/rooms/notes/hash")).json();
		expect(first).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
		await hub.history.checkpoint("notes", "compacted");
		expect(await (await hub.fetch("alice", "/rooms/notes/hash")).json()).toEqual(first);
	});
});
