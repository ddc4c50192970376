import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Doc, encodeStateAsUpdate } from "yjs";
import { stockClient } from "./stock-client.ts";
import { bearer, call, startPair, type WarrenPair } from "./warren-pair.ts";

/** Documents on a joined node's own origin, while the hub behind it is killed and comes back. */
/** Of the right form, and nobody's. */
const unknown = "x".repeat(32);
const waitMs = { timeout: 60_000, interval: 100 };
let pair: WarrenPair;
beforeAll(async () => {
	pair = await startPair();
});
afterAll(() => pair?.[Symbol.asyncDispose]());

describe("documents on a joined node's origin", () => {
	it("speak the subprotocol that a page asks the hub for, so that it hears what is on the hub's disk", async () => {
		const { origin, ca } = pair.second;
		const offered = ["warren.v1", "warren.sync.v1", `bearer.${pair.session}`];
		const socket = new WebSocket(`${origin.replace("https", "wss")}/rooms/counted/sync`, offered, { ca });
		try {
			const durable = new Promise<number | undefined>((resolve, reject) => {
				socket.once("error", reject);
				socket.once("close", (code) => reject(new Error(`closed ${code}`)));
				socket.on("message", (data: Buffer) => data[0] === 100 && resolve(data[1]));
			});
			await Promise.race([once(socket, "open"), durable]);
			expect(socket.protocol).toBe("warren.sync.v1");
			const doc = new Doc();
			doc.getText("t").insert(0, "counted");
			const update = encodeStateAsUpdate(doc);
			socket.send(Uint8Array.of(0, 0, 1, 0));
			socket.send(Uint8Array.of(0, 2, update.length, ...update));
			expect(await durable).toBe(1);
			const stored = await call(pair.first, "GET", "/rooms/counted/export?format=json", bearer(pair.session));
			expect(JSON.stringify(stored.body)).toContain("counted");
			expect((await call(pair.first, "DELETE", "/rooms/counted", bearer(pair.session))).status).toBe(204);
		} finally {
			socket.removeAllListeners("close");
			socket.terminate();
		}
	}, 60_000);

	it("come from the hub, and from the node's own sidecar once the hub is killed; then both merge", async () => {
		const { session } = pair;
		using desk = stockClient(pair.second, "notes", session);
		{
			using phone = stockClient(pair.first, "notes", session);
			desk.doc.getText("t").insert(0, "one ");
			await phone.when((text) => text === "one ");
			const list = await call(pair.second, "GET", "/rooms", bearer(session));
			expect([list.status, list.headers.get("x-warren-served-by")]).toEqual([200, null]);
		}
		// The session came through the node: its sidecar keeps the same documents from then on, those that others made
		// once it has compared its list with the hub's, which it does each minute.
		const copy = `${pair.sidecars[1]}/rooms/notes/export?format=json`;
		const kept = async () => JSON.stringify(await (await fetch(copy, { headers: bearer(session) })).json());
		await expect.poll(kept, { ...waitMs, timeout: 120_000 }).toContain("one ");

		await pair.first.kill("SIGKILL");
		using window = stockClient(pair.second, "notes", session);
		await window.when((text) => text === "one ");
		desk.doc.getText("t").insert(4, "two ");
		await window.when((text) => text === "one two ");
		const local = await call(pair.second, "GET", "/rooms", bearer(session));
		expect([local.status, local.headers.get("x-warren-served-by")]).toEqual([200, "sidecar"]);
		expect(local.body.rooms).toMatchObject([{ id: "notes" }]);
		const renamed = await call(pair.second, "PATCH", "/rooms/notes", bearer(session), { title: "Alone" });
		expect(renamed.status).toBe(200);

		// Nobody unknown, and nobody without a proof, gets in by the hub's absence.
		expect((await call(pair.second, "GET", "/rooms", bearer("nonsense"))).status).toBe(401);
		expect((await call(pair.second, "GET", "/rooms", bearer(unknown))).status).toBe(503);
		expect((await call(pair.second, "GET", "/rooms", {})).status).toBe(401);
		expect((await call(pair.second, "GET", "/me", bearer(session))).body.error).toBe("hub_away");
		const evil = { ...bearer(session), origin: "https://evil.example" };
		expect((await call(pair.second, "POST", "/rooms", evil, { title: "x" })).status).toBe(403);

		await pair.restartFirst();
		using phone = stockClient(pair.first, "notes", session);
		phone.doc.getText("t").insert(0, "zero ");
		await phone.when((text) => text.includes("one two ") && text.includes("zero "));
		await desk.when((text) => text.includes("one two ") && text.includes("zero "));
		await window.when((text) => text === desk.text());
		const server = async () =>
			(await call(pair.second, "GET", "/rooms", bearer(session))).headers.get("x-warren-served-by");
		await expect.poll(server, { ...waitMs, timeout: 60_000 }).toBeNull();
		const title = async () => (await call(pair.first, "GET", "/rooms/notes", bearer(session))).body.title;
		await expect.poll(title, { ...waitMs, timeout: 60_000 }).toBe("Alone");
		desk.doc.getText("t").insert(0, "last ");
		await phone.when((text) => text.startsWith("last "));
	}, 300_000);
});
