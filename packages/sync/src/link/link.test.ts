import { silentLogger, systemClock, systemRandom, type UserId } from "@warren/kernel";
import { freePort, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { stockClient, when, whenPresent } from "../provider.testing.ts";
import { openTestHub, type TestHub } from "../relay.testing.ts";
import { httpHubDocuments } from "./http-hub-documents.ts";
import { HubSync } from "./hub-sync.ts";
import { type LinkState, UpstreamLink } from "./upstream-link.ts";

const alice = "alice" as UserId;

/** Both are relays on real listeners; `local` stands for the sidecar. */
function link(local: TestHub, hubUrl: string, id: string, token = "session-alice") {
	const states: LinkState[] = [];
	const waiting: { holds: (state: LinkState) => boolean; done: () => void }[] = [];
	const made = new UpstreamLink(
		{ relay: local.relay, clock: systemClock, random: systemRandom, logger: silentLogger },
		{ url: hubUrl, token: async () => token },
		id,
		(state) => {
			states.push(state);
			for (const each of waiting) if (each.holds(state)) each.done();
		},
	).start();
	return {
		states,
		reaches: (holds: (state: LinkState) => boolean) =>
			holds(made.state) ? Promise.resolve() : new Promise<void>((done) => waiting.push({ holds, done })),
		retry: () => made.retry(),
		[Symbol.asyncDispose]: () => made.close(),
	};
}

describe("a sidecar's link to the hub", () => {
	it("carries edits both ways, acknowledged as durable, and never echoes them", async () => {
		await using hub = await openTestHub();
		await using sidecar = await openTestHub();
		using desk = stockClient(sidecar.wsUrl, "notes");
		using phone = stockClient(hub.wsUrl, "notes");
		await Promise.all([desk.synced(), phone.synced()]);
		await using linked = link(sidecar, hub.url, "notes");
		desk.doc.getText("t").insert(0, "desk ");
		await when(phone.doc, () => phone.text() === "desk ");
		phone.doc.getText("t").insert(5, "phone");
		await when(desk.doc, () => desk.text() === "desk phone");
		await linked.reaches((state) => state.at === "linked" && state.pending === 0);
		await Promise.all([hub.relay.flush(), sidecar.relay.flush()]);
		expect((await hub.relay.log.head("notes")).head).toBe(2);
		expect((await sidecar.relay.log.head("notes")).head).toBe(2);
	});

	it("shows presence through, both ways, and takes it away again", async () => {
		await using hub = await openTestHub();
		await using sidecar = await openTestHub();
		await using linked = link(sidecar, hub.url, "notes");
		await linked.reaches((state) => state.at === "linked");
		using desk = stockClient(sidecar.wsUrl, "notes");
		using second = stockClient(sidecar.wsUrl, "notes");
		using phone = stockClient(hub.wsUrl, "notes", { user: "alice" });
		desk.provider.awareness.setLocalState({ name: "desk" });
		second.provider.awareness.setLocalState({ name: "second" });
		phone.provider.awareness.setLocalState({ name: "phone" });
		const named = (name: string) => (states: Map<number, Record<string, unknown>>) =>
			[...states.values()].some((each) => each["name"] === name);
		await whenPresent(phone, (states) => named("desk")(states) && named("second")(states));
		await whenPresent(desk, named("phone"));
		second.provider.destroy();
		await whenPresent(phone, (states) => !named("second")(states));
		phone.provider.destroy();
		await whenPresent(desk, (states) => !named("phone")(states));
	});

	it("merges days of edits on both sides, across restarts of both in the middle", async () => {
		using hubData = tempFolder("hub");
		using sidecarData = tempFolder("sidecar");
		{
			await using hub = await openTestHub({ folder: hubData.path });
			using phone = stockClient(hub.wsUrl, "notes");
			await phone.synced();
			for (let i = 0; i < 50; i++) phone.doc.getText("t").insert(0, "p");
			phone.doc.getMap("m").set("phone", 1);
			await hub.relay.flush();
			using other = stockClient(hub.wsUrl, "notes");
			await when(other.doc, () => other.text().length === 50);
		}
		{
			await using sidecar = await openTestHub({ folder: sidecarData.path });
			using desk = stockClient(sidecar.wsUrl, "notes");
			await desk.synced();
			for (let i = 0; i < 50; i++) desk.doc.getText("t").insert(0, "d");
			desk.doc.getText("t").delete(0, 10);
			using other = stockClient(sidecar.wsUrl, "notes");
			await when(other.doc, () => other.text().length === 40);
			await sidecar.history.checkpoint("notes", "compacted");
		}
		await using hub = await openTestHub({ folder: hubData.path });
		await using sidecar = await openTestHub({ folder: sidecarData.path });
		await using linked = link(sidecar, hub.url, "notes");
		using phone = stockClient(hub.wsUrl, "notes");
		using desk = stockClient(sidecar.wsUrl, "notes");
		await when(phone.doc, () => phone.text().length === 90);
		await when(desk.doc, () => desk.text() === phone.text() && desk.doc.getMap("m").get("phone") === 1);
		await linked.reaches((state) => state.at === "linked" && state.pending === 0);
		expect(await hub.history.hash("notes")).toBe(await sidecar.history.hash("notes"));
	});

	it("waits while the hub is away, local work going on, and comes back with it", async () => {
		using hubData = tempFolder("hub");
		const port = await freePort();
		const first = await openTestHub({ folder: hubData.path, port });
		await using sidecar = await openTestHub();
		await using linked = link(sidecar, first.url, "notes");
		await linked.reaches((state) => state.at === "linked");
		await first.close();
		await linked.reaches((state) => state.at === "waiting");
		using desk = stockClient(sidecar.wsUrl, "notes");
		using window2 = stockClient(sidecar.wsUrl, "notes");
		await desk.synced();
		desk.doc.getText("t").insert(0, "offline");
		await when(window2.doc, () => window2.text() === "offline");
		await using hub = await openTestHub({ folder: hubData.path, port });
		using phone = stockClient(hub.wsUrl, "notes");
		linked.retry();
		await when(phone.doc, () => phone.text() === "offline");
	});

	it("parks when the session is refused or the document deleted, until told to try again", async () => {
		await using hub = await openTestHub();
		await using sidecar = await openTestHub();
		await using refused = link(sidecar, hub.url, "notes", "expired");
		await refused.reaches((state) => state.at === "parked" && state.code === 4401);
		await using linked = link(sidecar, hub.url, "gone");
		await linked.reaches((state) => state.at === "linked");
		await hub.fetch("alice", "/rooms/gone", { method: "DELETE" });
		await linked.reaches((state) => state.at === "parked" && state.code === 4404);
		linked.states.length = 0;
		linked.retry();
		// A device that was away does not bring a deleted document back.
		await linked.reaches((state) => state.at === "parked" && state.code === 4404);
		expect(linked.states[0]).toEqual({ at: "connecting" });
	});
});

describe("background sync", () => {
	it("hears a refusal as one, and that a document is there already as none", async () => {
		await using hub = await openTestHub();
		await hub.documents.create("bob" as UserId, { id: "taken", title: "Taken" });
		const documents = httpHubDocuments({ url: hub.url, token: async () => "session-alice" }, fetch);
		await documents.create({ id: "mine", title: "Mine" });
		await documents.create({ id: "mine", title: "Mine" });
		await expect(documents.create({ id: "taken", title: "x" })).rejects.toMatchObject({ retryable: false });
		const refused = httpHubDocuments({ url: hub.url, token: async () => "over" }, fetch);
		await expect(refused.list()).rejects.toMatchObject({ code: "hub_refused", retryable: false });
		const away = httpHubDocuments({ url: hub.url, token: async () => "session-hub-away" }, fetch);
		await expect(away.list()).rejects.toMatchObject({ retryable: true });
		expect(await documents.list()).toMatchObject([{ id: "mine" }]);
	});

	it("joins what was made at the hub and what was made here", async () => {
		await using hub = await openTestHub();
		await using sidecar = await openTestHub();
		await hub.documents.create(alice, { id: "from-hub", title: "From the hub" });
		await sidecar.documents.create(alice, { id: "from-here", title: "From here" });
		const endpoint = { url: hub.url, token: async () => "session-alice" };
		const hubDocuments = httpHubDocuments(endpoint, fetch);
		const { relay, documents } = sidecar;
		const deps = { relay, documents, hubDocuments, clock: systemClock, random: systemRandom, logger: silentLogger };
		const sync = new HubSync(deps, endpoint, alice);
		try {
			await sync.refresh();
			const titles = async (of: TestHub) => (await of.documents.list(alice)).map((each) => each.title).sort();
			expect(await titles(sidecar)).toEqual(["From here", "From the hub"]);
			expect(await titles(hub)).toEqual(["From here", "From the hub"]);
			using desk = stockClient(sidecar.wsUrl, "from-hub");
			using phone = stockClient(hub.wsUrl, "from-hub");
			await desk.synced();
			desk.doc.getText("t").insert(0, "x");
			await when(phone.doc, () => phone.text() === "x");
			expect([...sync.status.links.keys()].sort()).toEqual(["from-here", "from-hub"]);
			expect(sync.status.listFault).toBeNull();
			// Both documents go over one socket (S19); the other one here is the phone's.
			expect(hub.listener.webSocketCount).toBe(2);
		} finally {
			await sync.close();
		}
	});

	it("carries deletions both ways, made together or apart, and brings none back", async () => {
		await using hub = await openTestHub();
		await using sidecar = await openTestHub();
		for (const id of ["one", "two", "three", "four"]) await hub.documents.create(alice, { id, title: id });
		await hub.documents.create("bob" as UserId, { id: "bobs", title: "Bob's" });
		await hub.documents.share("bob" as UserId, "bobs", alice, "read-write");
		const endpoint = { url: hub.url, token: async () => "session-alice" };
		const hubDocuments = httpHubDocuments(endpoint, fetch);
		const { relay, documents } = sidecar;
		const deps = { relay, documents, hubDocuments, clock: systemClock, random: systemRandom, logger: silentLogger };
		const deleteAt = async (of: TestHub, id: string) =>
			expect((await of.fetch("alice", `/rooms/${id}`, { method: "DELETE" })).status).toBe(204);
		const ids = async (of: TestHub) => (await of.documents.list(alice)).map((each) => each.id).sort();
		const apart = new HubSync(deps, endpoint, alice);
		await apart.refresh();
		expect(await ids(sidecar)).toEqual(["bobs", "four", "one", "three", "two"]);
		await apart.close();
		// Nobody is told at the time.
		await deleteAt(hub, "one");
		await deleteAt(sidecar, "two");
		await deleteAt(sidecar, "bobs");
		const sync = new HubSync(deps, endpoint, alice);
		try {
			await sync.refresh();
			expect(await ids(hub)).toEqual(["bobs", "four", "three"]);
			expect(await ids(sidecar)).toEqual(["four", "three"]);
			expect(await relay.log.rooms()).not.toContain("one");
			// While they are joined, and a window has it open: the window is told.
			using desk = stockClient(sidecar.wsUrl, "three");
			await desk.synced();
			desk.doc.getText("t").insert(0, "x");
			const told = new Promise<number>((resolve) =>
				desk.provider.on("connection-close", (event) => event !== null && resolve(event.code)),
			);
			await deleteAt(hub, "three");
			expect(await told).toBe(4404);
			await sync.refresh();
			expect(await ids(sidecar)).toEqual(["four"]);
			await deleteAt(sidecar, "four");
			await sync.refresh();
			await sync.refresh();
			expect([await ids(hub), await ids(sidecar)]).toEqual([["bobs"], []]);
			expect([...sync.status.links.keys()]).toEqual([]);
			expect(await relay.log.rooms()).toEqual([]);
		} finally {
			await sync.close();
		}
	});

	it("deletes nothing here on another's word: not what the hub never had, and not for a proxy's 404", async () => {
		await using hub = await openTestHub();
		await using sidecar = await openTestHub();
		await hub.documents.create("bob" as UserId, { id: "notes", title: "Bob's" });
		await hub.documents.delete("bob" as UserId, "notes");
		await sidecar.documents.create(alice, { id: "notes", title: "Mine, made without the hub" });
		await sidecar.documents.create(alice, { id: "agreed", title: "Agreed" });
		const endpoint = { url: hub.url, token: async () => "session-alice" };
		let proxy: Response | null = null;
		const hubDocuments = httpHubDocuments(endpoint, async (input, init) =>
			proxy === null || init?.method !== "POST" ? fetch(input, init) : proxy.clone(),
		);
		const { relay, documents } = sidecar;
		const deps = { relay, documents, hubDocuments, clock: systemClock, random: systemRandom, logger: silentLogger };
		const sync = new HubSync(deps, endpoint, alice);
		try {
			await sync.refresh();
			const ids = async () => (await documents.list(alice)).map((each) => each.id).sort();
			expect(await ids()).toEqual(["agreed", "notes"]);
			proxy = new Response("<h1>404</h1>", { status: 404 });
			await hub.documents.delete(alice, "agreed");
			await sync.refresh();
			expect(await ids()).toEqual(["agreed", "notes"]);
			proxy = null;
			await sync.refresh();
			expect(await ids()).toEqual(["notes"]);
		} finally {
			await sync.close();
		}
	});

	it("carries renames both ways, and of two at once keeps the hub's", async () => {
		await using hub = await openTestHub();
		await using sidecar = await openTestHub();
		for (const id of ["one", "two", "three"]) await hub.documents.create(alice, { id, title: id });
		await sidecar.documents.create(alice, { id: "one", title: "Made here too" });
		const endpoint = { url: hub.url, token: async () => "session-alice" };
		const hubDocuments = httpHubDocuments(endpoint, fetch);
		const { relay, documents } = sidecar;
		const deps = { relay, documents, hubDocuments, clock: systemClock, random: systemRandom, logger: silentLogger };
		const sync = new HubSync(deps, endpoint, alice);
		const titles = async (of: TestHub) =>
			Object.fromEntries((await of.documents.list(alice)).map((each) => [each.id, each.title]));
		try {
			await sync.refresh();
			const named = { one: "Made here too", two: "two", three: "three" };
			expect([await titles(hub), await titles(sidecar)]).toEqual([named, named]);
			await hub.documents.rename(alice, "one", "At the hub");
			await documents.rename(alice, "two", "At the desk");
			await hub.documents.rename(alice, "three", "The hub's");
			await documents.rename(alice, "three", "The desk's");
			await sync.refresh();
			const after = { one: "At the hub", two: "At the desk", three: "The hub's" };
			expect([await titles(hub), await titles(sidecar)]).toEqual([after, after]);
			// And again the other way, from what both have now.
			await documents.rename(alice, "one", "Back at the desk");
			await sync.refresh();
			expect((await titles(hub))["one"]).toBe("Back at the desk");
		} finally {
			await sync.close();
		}
	});
});
