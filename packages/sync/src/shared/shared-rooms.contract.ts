import type { Closeable, UserId } from "@warren/kernel";
import type { Bus, KeyValue } from "@warren/store";
import type { Kysely } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as Y from "yjs";
import { discoveryRoomId, saysDocumentsChanged } from "../discovery/device-state.ts";
import { DiscoveryAccess } from "../discovery/discovery-access.ts";
import { encodeAwareness, encodeEntries, encodeUpdate, readAwareness } from "../protocol/index.ts";
import { stockClient, when, whenPresent } from "../provider.testing.ts";
import { openTestHub, type TestHub, type TestHubOptions } from "../relay.testing.ts";
import { WireClient } from "../wire-client.testing.ts";
import { LossyBus } from "./lossy-bus.testing.ts";

export interface Stores extends Closeable {
	/** One instance's own connection to what all share. */
	connect(): Promise<{
		readonly bus: Bus;
		readonly keyValue: KeyValue;
		readonly postgres?: { readonly db: Kysely<any> };
	}>;
	/** Where the hubs' files are, if they share files. */
	readonly folder?: string;
}

/** An edit of a document of its own, so that each can be told from the others. */
function edit(key: string): Uint8Array {
	const doc = new Y.Doc();
	doc.getMap("m").set(key, key);
	return Y.encodeStateAsUpdate(doc);
}

const presence = (client: number, clock: number, state: string | null) =>
	encodeAwareness(encodeEntries([{ client, clock, state }]));

/** Clients and clocks of everybody this client was told of, the newest. */
function heardOf(client: WireClient): Map<number, string | null> {
	const seen = new Map<number, string | null>();
	for (const frame of client.frames) {
		if (frame.type !== "awareness") continue;
		const entries = readAwareness(frame.payload);
		if (typeof entries === "string") throw new Error(entries);
		for (const { client: id, state } of entries) seen.set(id, state);
	}
	return seen;
}

/** What hubs over the same log do together, whatever log and bus are made of. */
export function sharedRoomsContract(name: string, make: () => Promise<Stores>): void {
	describe(`${name}: hubs that share rooms`, () => {
		let stores: Stores;
		let hubs: TestHub[];
		let buses: LossyBus[];
		const open = async (more: TestHubOptions = {}) => {
			const { bus, ...rest } = await stores.connect();
			const lossy = new LossyBus(bus);
			buses.push(lossy);
			const folder = stores.folder === undefined ? {} : { folder: stores.folder };
			const hub = await openTestHub({ ...folder, ...more, shared: { bus: lossy, ...rest } });
			hubs.push(hub);
			return hub;
		};
		beforeEach(async () => {
			stores = await make();
			[hubs, buses] = [[], []];
			for (let i = 0; i < 3; i++) await open();
		});
		afterEach(async () => {
			for (const hub of hubs) await hub.close();
			await stores.close();
		});
		const at = (index: number) => hubs[index] as TestHub;
		const has = (client: WireClient, key: string) => client.doc.getMap("m").has(key);
		const read = async (index: number) => ((await at(index).history.json("plan")) as { m?: object }).m ?? {};

		it("an update at one reaches the clients of all, once, and is on disk before (S4, S20)", async () => {
			using writer = await new WireClient(at(0).wsUrl, "plan").sync();
			using near = await new WireClient(at(0).wsUrl, "plan").sync();
			using far = await new WireClient(at(1).wsUrl, "plan").sync();
			for (let i = 0; i < 50; i++) writer.send(encodeUpdate(edit(`k${i}`)));
			await writer.until(() => writer.durable === 50);
			for (const reader of [near, far]) await reader.until(() => has(reader, "k49"));
			expect(Object.keys(await read(2))).toHaveLength(50);
			for (const reader of [near, far]) {
				const live = reader.updates().map((update) => Buffer.from(update).toString("hex"));
				const edits = live.filter((each) => each !== "0000");
				expect([edits.length, new Set(edits).size]).toEqual([50, 50]);
			}
			expect(writer.updates().filter((update) => update.length > 2)).toEqual([]);
		});

		it("writers at all of them at once agree, and each gets every update of the others once (S20)", async () => {
			const clients = await Promise.all([0, 1, 2].map((index) => new WireClient(at(index).wsUrl, "plan").sync()));
			for (let i = 0; i < 40; i++)
				clients.forEach((client, who) => {
					client.send(encodeUpdate(edit(`${who}-${i}`)));
				});
			const each = clients.map(async (client, who) => {
				await client.until(() => client.durable === 40 && client.doc.getMap("m").size === 80);
				const others = client.updates().filter((update) => update.length > 2);
				return [who, others.length, new Set(others.map((update) => Buffer.from(update).toString("hex"))).size];
			});
			expect(await Promise.all(each)).toEqual([
				[0, 80, 80],
				[1, 80, 80],
				[2, 80, 80],
			]);
			expect(Object.keys(await read(0))).toHaveLength(120);
			for (const client of clients) client[Symbol.dispose]();
		});

		it("a lost note is found in the log by the next one's number (S20)", async () => {
			using writer = await new WireClient(at(0).wsUrl, "plan").sync();
			using far = await new WireClient(at(1).wsUrl, "plan").sync();
			(buses[1] as LossyBus).loses = (subject) => subject.startsWith("sync.room.");
			writer.send(encodeUpdate(edit("lost")));
			await writer.until(() => writer.durable === 1);
			(buses[1] as LossyBus).loses = () => false;
			writer.send(encodeUpdate(edit("heard")));
			await far.until(() => has(far, "heard"));
			expect(has(far, "lost")).toBe(true);
		});

		it("an instance without a bus writes and, once it is back, has what it missed; others have what it wrote (S20)", async () => {
			using cut = await new WireClient(at(0).wsUrl, "plan").sync();
			using other = await new WireClient(at(1).wsUrl, "plan").sync();
			(buses[0] as LossyBus).cut();
			cut.send(encodeUpdate(edit("from the cut one")));
			other.send(encodeUpdate(edit("from the other")));
			await Promise.all([cut.until(() => cut.durable === 1), other.until(() => other.durable === 1)]);
			(buses[0] as LossyBus).resume();
			await cut.until(() => has(cut, "from the other"));
			other.send(encodeUpdate(edit("next")));
			await cut.until(() => has(cut, "next"));
			await other.until(() => has(other, "from the cut one"));
		});

		it("a client that moves is asked for nothing that it was promised elsewhere (S7, S20)", async () => {
			using waiting = await new WireClient(at(1).wsUrl, "plan").sync();
			const client = stockClient(at(0).wsUrl, "plan");
			await client.synced();
			client.doc.getText("t").insert(0, "kept");
			await waiting.until(() => waiting.doc.getText("t").toJSON() === "kept");
			client.provider.destroy();
			const before = (await at(1).relay.log.head("plan")).head;
			using moved = stockClient(at(1).wsUrl, "plan", { doc: client.doc });
			await moved.synced();
			moved.doc.getText("t").insert(4, "!");
			await waiting.until(() => waiting.doc.getText("t").toJSON() === "kept!");
			expect((await at(1).relay.log.head("plan")).head).toBe(before + 1);
		});

		it("presence is the same everywhere, comers and goers included (S11, S12, S21)", async () => {
			using ada = stockClient(at(0).wsUrl, "plan", { user: "ada" });
			ada.provider.awareness.setLocalState({ name: "ada" });
			await at(0)
				.documents.create("ada" as never, { id: "plan", title: "Plan" })
				.catch(() => null);
			await ada.synced();
			await at(0).documents.share("ada" as never, "plan", "bob", "read-write");
			using bob = stockClient(at(1).wsUrl, "plan", { user: "bob" });
			bob.provider.awareness.setLocalState({ name: "bob" });
			const named = (who: string) => (states: Map<number, Record<string, unknown>>) =>
				[...states.values()].some((state) => state["name"] === who);
			await Promise.all([whenPresent(ada, named("bob")), whenPresent(bob, named("ada"))]);
			ada.provider.destroy();
			await whenPresent(bob, (states) => !named("ada")(states));
		});

		it("a change to somebody's list at one is news at the others, and taken back (S21)", async () => {
			const changed = await open({ tellsLists: true });
			const other = await open({ access: (documents) => new DiscoveryAccess({ documents }) });
			using machine = await new WireClient(other.wsUrl, discoveryRoomId).sync();
			const news = () => [...heardOf(machine).values()];
			await changed.documents.create("alice" as UserId, { id: "notes", title: "Notes" });
			await machine.until(() => news().some((state) => state !== null && saysDocumentsChanged(state)));
			await machine.until(() => news().every((state) => state === null));
		});

		it("nobody speaks for another's client from another instance (S10, S21)", async () => {
			await at(0).documents.create("ada" as never, { id: "plan", title: "Plan" });
			await at(0).documents.share("ada" as never, "plan", "eve", "read-write");
			using ada = await new WireClient(at(0).wsUrl, "plan", "ada").sync();
			ada.send(presence(11, 5, '{"name":"ada"}'));
			using eve = await new WireClient(at(1).wsUrl, "plan", "eve").sync();
			await eve.until(() => heardOf(eve).get(11) === '{"name":"ada"}');
			eve.send(presence(11, 6, '{"name":"not ada"}'));
			eve.send(presence(11, 7, null));
			eve.send(presence(22, 1, '{"name":"eve"}'));
			await ada.until(() => heardOf(ada).has(22));
			expect(heardOf(ada).get(11)).toBe('{"name":"ada"}');
			expect(heardOf(eve).get(11)).toBe('{"name":"ada"}');
		});

		it("a share that ends, and a deletion, close the sockets at every instance (S13, S20)", async () => {
			await at(0).documents.create("ada" as never, { id: "plan", title: "Plan" });
			await at(0).documents.share("ada" as never, "plan", "bob", "read-write");
			using bob = await new WireClient(at(1).wsUrl, "plan", "bob").sync();
			using ada = await new WireClient(at(2).wsUrl, "plan", "ada").sync();
			await at(0).documents.unshare("ada" as never, "plan", "bob");
			expect((await bob.closed).code).toBe(4403);
			expect((await at(0).fetch("ada", "/rooms/plan", { method: "DELETE" })).status).toBeLessThan(300);
			expect((await ada.closed).code).toBe(4404);
		});

		it("a share that ended while an instance heard nothing ends there too (S20)", async () => {
			await at(0).documents.create("ada" as never, { id: "plan", title: "Plan" });
			await at(0).documents.share("ada" as never, "plan", "bob", "read-write");
			using bob = await new WireClient(at(1).wsUrl, "plan", "bob").sync();
			(buses[1] as LossyBus).loses = (subject) => subject === "sync.access";
			await at(0).documents.unshare("ada" as never, "plan", "bob");
			(buses[1] as LossyBus).resume();
			expect((await bob.closed).code).toBe(4503);
			using again = new WireClient(at(1).wsUrl, "plan", "bob");
			expect((await again.closed).code).toBe(4403);
		});

		it("of three that want to compact one does, and the others go on from what it made (S8, S20)", async () => {
			using writer = await new WireClient(at(0).wsUrl, "plan").sync();
			using far = await new WireClient(at(1).wsUrl, "plan").sync();
			for (let i = 0; i < 20; i++) writer.send(encodeUpdate(edit(`k${i}`)));
			await far.until(() => far.doc.getMap("m").size === 20);
			const rooms = await Promise.all(hubs.map((hub) => hub.relay.open("plan")));
			await Promise.all(rooms.map((room, index) => at(index).relay.compactor.compact(room, { leased: true })));
			expect(await at(2).relay.log.head("plan")).toMatchObject({
				head: 20,
				tail: { count: 0 },
				snapshot: { upto: 20 },
			});
			writer.send(encodeUpdate(edit("after")));
			await far.until(() => has(far, "after"));
			using late = await new WireClient(at(2).wsUrl, "plan").sync();
			await late.until(() => late.doc.getMap("m").size === 21);
		});

		it("a relay that stops tells its sockets to come back, and its presence is gone elsewhere at once (S17, S21)", async () => {
			using leaving = await new WireClient(at(0).wsUrl, "plan").sync();
			leaving.send(presence(11, 1, '{"name":"a"}'));
			using stays = await new WireClient(at(1).wsUrl, "plan").sync();
			await stays.until(() => heardOf(stays).get(11) === '{"name":"a"}');
			const closing = at(0).close();
			expect((await leaving.closed).code).toBe(1012);
			using back = await new WireClient(at(1).wsUrl, "plan").sync();
			// As a stock client does: its state again, with the clock as it was.
			back.send(presence(11, 1, '{"name":"a"}'));
			await closing;
			await when(stays.doc, () => true);
			await back.until(() => heardOf(back).get(11) === '{"name":"a"}');
		});
	});
}
