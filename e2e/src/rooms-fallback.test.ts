import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
		// The session came through the node: its sidecar keeps the same documents from then on.
		const metrics = async () =>
			(await (await pair.second.fetch("/metrics")).text()).match(/^warren_sync_sockets (\d+)/m);
		await expect.poll(async () => Number((await metrics())?.[1]), waitMs).toBeGreaterThan(0);
		const copy = `${pair.sidecars[1]}/rooms/notes/export?format=json`;
		const kept = async () => JSON.stringify(await (await fetch(copy, { headers: bearer(session) })).json());
		await expect.poll(kept, waitMs).toContain("one ");

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
	}, 180_000);
});
