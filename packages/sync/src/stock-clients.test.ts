import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { stockClient, stockProviders, when, whenPresent } from "./provider.testing.ts";
import { openTestHub } from "./relay.testing.ts";

const versions = Object.keys(stockProviders) as (keyof typeof stockProviders)[];

describe.each(versions)("y-websocket %s, unmodified", (version) => {
	it("syncs both ways, live, and what was written before it came (S1)", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes", { version });
		alice.doc.getText("t").insert(0, "before ");
		await alice.synced();
		using other = stockClient(hub.wsUrl, "notes", { version });
		await other.synced();
		await when(other.doc, () => other.text() === "before ");
		other.doc.getText("t").insert(7, "and after");
		await when(alice.doc, () => alice.text() === "before and after");
	});

	it("sees who is here, and sees them leave at once (S11, S12)", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes", { version });
		using other = stockClient(hub.wsUrl, "notes", { version });
		alice.provider.awareness.setLocalState({ name: "alice" });
		other.provider.awareness.setLocalState({ name: "other" });
		await whenPresent(alice, (states) => [...states.values()].some((each) => each["name"] === "other"));
		await whenPresent(other, (states) => [...states.values()].some((each) => each["name"] === "alice"));
		other.provider.destroy();
		await whenPresent(alice, (states) => states.size === 1);
	});

	it("merges what both sides did while it was away (S5, S8)", async () => {
		await using hub = await openTestHub();
		using alice = stockClient(hub.wsUrl, "notes", { version });
		using other = stockClient(hub.wsUrl, "notes", { version });
		alice.doc.getText("t").insert(0, "base");
		await when(other.doc, () => other.text() === "base");
		other.provider.disconnect();
		other.doc.getText("t").insert(4, " offline");
		other.doc.getText("t").delete(0, 1);
		alice.doc.getText("t").insert(0, "online ");
		other.provider.connect();
		await when(alice.doc, () => alice.text() === "online ase offline");
		await when(other.doc, () => other.text() === "online ase offline");
		await hub.relay.flush();
		const { head } = await hub.relay.log.head("notes");
		other.provider.disconnect();
		other.provider.connect();
		await other.synced();
		await hub.relay.flush();
		// The reconnect offered its whole delete set again; nothing of it was new.
		expect((await hub.relay.log.head("notes")).head).toBe(head);
	});
});

describe("a document", () => {
	it("is what it was after the hub restarts, with its tail compacted or not", async () => {
		await using first = await openTestHub();
		using alice = stockClient(first.wsUrl, "notes");
		await alice.synced();
		for (let i = 0; i < 200; i++) alice.doc.getText("t").insert(0, `${i} `);
		alice.doc.getText("t").delete(5, 50);
		using other = stockClient(first.wsUrl, "notes");
		await when(other.doc, () => other.text() === alice.text());
		const expected = alice.text();
		expect(await first.history.json("notes")).toEqual({ t: expected });
		await first.history.checkpoint("notes", "test");
		expect((await first.relay.log.head("notes")).tail.count).toBe(0);
		other.doc.getText("t").insert(0, "tail ");
		await when(alice.doc, () => alice.text() === `tail ${expected}`);
		using third = stockClient(first.wsUrl, "notes");
		await when(third.doc, () => third.text() === `tail ${expected}`);
		expect(Y.encodeStateVector(third.doc).length).toBe(Y.encodeStateVector(alice.doc).length);
	});
});
