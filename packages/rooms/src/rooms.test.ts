import type { FederatedIncoming, LiveEvent } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { roomLimits } from "./limits.ts";
import type { Speaker } from "./room.ts";
import { RoomsService } from "./rooms-service.ts";
import { type RoomsTables, roomsSchema } from "./schema.ts";

const owner: Speaker = { member: "owner", name: "Ada's phone", kind: "person" };
const bob: Speaker = { member: "user:bob", name: "Bob", kind: "person" };

async function open() {
	const tables = await openSqliteTables<RoomsTables>(":memory:", [roomsSchema]);
	const clock = new VirtualClock();
	const told: LiveEvent[] = [];
	const service = new RoomsService({
		statements: tables.statements,
		clock,
		random: new SeededRandom(1),
		events: { publish: (event) => told.push(event) },
	});
	return { service, clock, told, [Symbol.asyncDispose]: async () => tables.close() };
}

const make = (service: RoomsService, name: string, more: object = {}) =>
	service.rooms.create({ name, visibility: "public", federated: false, ...more }, owner);

let ids = 0;
const incoming = (type: string, message: object, from = "there"): FederatedIncoming => ({
	fromMeshId: from,
	fromMeshName: `Mesh ${from}`,
	id: `i${++ids}`,
	payload: { type, message: { roomName: "general", senderId: "s", senderName: "Eve", ...message } },
	signedBy: null,
});

describe("rooms of one machine", () => {
	it("count what is unread for each, never go back, and share it between the owner's devices", async () => {
		await using world = await open();
		const { rooms, messages } = world.service;
		const room = make(world.service, "general");
		rooms.join(room.id, bob);
		for (const text of ["one", "two", "three"]) messages.post(room.id, text, bob);
		messages.post(room.id, "mine", owner);
		expect(rooms.get(room.id, owner)).toMatchObject({ unread: 3, joined: true, members: 2 });
		expect(rooms.get(room.id, bob)).toMatchObject({ unread: 1 });
		const { messages: page } = messages.page(room.id, owner, { limit: 10 });
		rooms.read(room.id, page[1]?.seq as number, owner);
		rooms.read(room.id, page[0]?.seq as number, { ...owner, name: "another device" });
		expect(rooms.get(room.id, owner).unread).toBe(1);
		rooms.read(room.id, Number.MAX_SAFE_INTEGER, owner);
		messages.post(room.id, "later", bob);
		expect(rooms.get(room.id, owner).unread, "what comes after a bold claim is still unread").toBe(1);
	});

	it("private ones are there for their members alone, in lists, pages, search and by id", async () => {
		await using world = await open();
		const { rooms, messages } = world.service;
		const room = make(world.service, "secret", { visibility: "private" });
		messages.post(room.id, "the password is swordfish", owner);
		expect(rooms.list(bob)).toEqual([]);
		expect(messages.search("swordfish", bob, null)).toEqual([]);
		for (const attempt of [
			() => rooms.get(room.id, bob),
			() => messages.page(room.id, bob, { limit: 1 }),
			() => messages.post(room.id, "hi", bob),
			() => rooms.join(room.id, bob),
			() => messages.search("swordfish", bob, room.id),
			() => world.service.webhooks.list(room.id, bob),
		])
			expect(attempt).toThrow(/There is no room/);
		rooms.addMember(room.id, { member: "user:bob", name: "Bob" }, owner);
		expect(messages.search("SWORD", bob, null)).toHaveLength(1);
		rooms.removeMember(room.id, "user:bob", owner);
		expect(rooms.list(bob)).toEqual([]);
	});

	it("a send that is tried again is one message; somebody else's id is no way in", async () => {
		await using world = await open();
		const { rooms, messages } = world.service;
		const room = make(world.service, "general");
		rooms.join(room.id, bob);
		const first = messages.post(room.id, "once", owner, "client-id-1");
		expect(messages.post(room.id, "once", owner, "client-id-1")).toEqual(first);
		expect(() => messages.post(room.id, "mine now", bob, "client-id-1")).toThrow(/taken/);
		expect(messages.page(room.id, owner, { limit: 10 }).messages).toHaveLength(1);
	});

	it("pages go back and forth without gaps or repeats", async () => {
		await using world = await open();
		const { messages } = world.service;
		const room = make(world.service, "general");
		for (let n = 1; n <= 25; n += 1) messages.post(room.id, `${n}`, owner);
		const texts: string[] = [];
		let before: number | undefined;
		for (;;) {
			const page = messages.page(room.id, owner, { limit: 10, ...(before === undefined ? {} : { before }) });
			texts.unshift(...page.messages.map((message) => message.content));
			before = page.messages[0]?.seq as number;
			if (!page.more) break;
		}
		expect(texts).toEqual(Array.from({ length: 25 }, (_, index) => `${index + 1}`));
		const newer = messages.page(room.id, owner, { after: before, limit: 100 });
		expect([newer.messages.length, newer.more]).toEqual([24, false]);
	});

	it("edits and deletions are their sender's, reach the search, and leave nothing of what was deleted", async () => {
		await using world = await open();
		const { rooms, messages } = world.service;
		const room = make(world.service, "general");
		rooms.join(room.id, bob);
		const said = messages.post(room.id, "hello wrold", owner);
		expect(() => messages.edit(room.id, said.id, "x", bob)).toThrow(/somebody else's/);
		expect(messages.edit(room.id, said.id, "hello world", owner)).toMatchObject({ content: "hello world" });
		expect(messages.search("wrold", owner, null)).toEqual([]);
		expect(messages.search("world", owner, null)).toHaveLength(1);
		expect(messages.delete(room.id, said.id, owner)).toMatchObject({ content: "", mine: false });
		expect(messages.search("world", owner, null)).toEqual([]);
		expect(() => messages.edit(room.id, said.id, "back", owner)).toThrow(/There is no message/);
	});

	it.each(['"', "* OR *", "NEAR(", "a AND", "content:x", "-", "'; DROP TABLE", "\u0000", "ü* "])(
		"search takes %j as words, never as operators",
		async (query) => {
			await using world = await open();
			const room = make(world.service, "general");
			world.service.messages.post(room.id, "Über allem", owner);
			expect(() => world.service.messages.search(query, owner, room.id)).not.toThrow();
			expect(world.service.messages.search("uber", owner, null)).toHaveLength(1);
		},
	);

	it("a webhook posts with its token alone, and not without bound", async () => {
		await using world = await open();
		const { webhooks, messages } = world.service;
		const room = make(world.service, "general", { visibility: "private" });
		const { webhook, token } = webhooks.create(room.id, "CI", owner);
		expect(webhooks.post(webhook.id, token, { text: "built" }, "a")).toMatchObject({
			sender: { name: "CI", kind: "webhook" },
		});
		expect(() => webhooks.post(webhook.id, `${token}x`, { text: "no" }, "a")).toThrow(/no webhook with this/);
		for (let n = 2; n <= roomLimits.webhookPerMinute; n += 1) webhooks.post(webhook.id, token, { text: "x" }, "a");
		expect(() => webhooks.post(webhook.id, token, { text: "x" }, "a")).toThrow(/within a minute/);
		webhooks.delete(room.id, webhook.id, owner);
		expect(() => webhooks.post(webhook.id, token, { text: "x" }, "a")).toThrow(/no webhook with this/);
		expect(messages.page(room.id, owner, { limit: 200 }).messages).toHaveLength(roomLimits.webhookPerMinute);
	});
});

describe("federated rooms", () => {
	it("what is said there waits for the gateway in order, with the original's fields, until it is settled", async () => {
		await using world = await open();
		const { service } = world;
		const room = make(service, "general", { federated: true });
		const said = service.messages.post(room.id, "hello", owner);
		service.messages.edit(room.id, said.id, "hello!", owner);
		service.messages.delete(room.id, said.id, owner);
		const pending = service.pending(0, 10);
		expect(pending.map((entry) => entry.payload["type"])).toEqual(["new_message", "edit_message", "delete_message"]);
		expect(pending[0]).toMatchObject({
			targetMeshId: null,
			room: "general",
			payload: {
				message: {
					id: said.id,
					roomId: room.id,
					senderName: "Ada's phone",
					content: "hello",
					isDm: false,
					roomName: "general",
				},
			},
		});
		expect(said.delivery).toBe("waiting");
		for (const entry of pending) service.settle(entry.seq, { outcome: "queued", detail: "" });
		service.settle(pending[0]?.seq as number, { outcome: "rejected", detail: "twice" });
		expect(service.waiting).toBe(0);
		expect(service.messages.page(room.id, owner, { limit: 1 }).messages[0]?.delivery).toBe("queued");
	});

	it("a message from elsewhere is kept once, marked, and only where the room is federated", async () => {
		await using world = await open();
		const { service } = world;
		const room = make(service, "general", { federated: true });
		make(service, "local");
		const message = incoming("new_message", { id: "x1", content: "hi" });
		service.receive(message);
		service.receive(message);
		service.receive({ ...message, id: "another-delivery" });
		service.receive(incoming("new_message", { id: "x2", content: "no", roomName: "local" }));
		service.receive(incoming("new_message", { id: "x3", content: "no", roomName: "nowhere" }));
		const { messages } = service.messages.page(room.id, owner, { limit: 10 });
		expect(messages).toMatchObject([
			{
				content: "hi",
				from: { meshId: "there", name: "Mesh there" },
				sender: { id: "federated:there:s", name: "Eve", kind: "federated" },
				mine: false,
			},
		]);
		expect(service.waiting, "nothing of it goes out again").toBe(0);
	});

	it("a mesh edits and deletes what it said itself, in order, and nothing of others", async () => {
		await using world = await open();
		const { service } = world;
		const room = make(service, "general", { federated: true });
		const own = service.messages.post(room.id, "mine", owner);
		service.receive(incoming("new_message", { id: "x1", content: "v1" }));
		service.receive(incoming("edit_message", { id: "x1", content: "v3", version: 3 }));
		service.receive(incoming("edit_message", { id: "x1", content: "v2", version: 2 }));
		service.receive(incoming("edit_message", { id: "x1", content: "hijacked", version: 9 }, "evil"));
		service.receive(incoming("delete_message", { id: own.id, version: 9 }, "evil"));
		service.receive(incoming("delete_message", { id: own.id, version: 9 }));
		const texts = () => service.messages.page(room.id, owner, { limit: 10 }).messages.map((each) => each.content);
		expect(texts()).toEqual(["mine", "v3"]);
		service.receive(incoming("delete_message", { id: "x1", version: 4 }));
		service.receive(incoming("edit_message", { id: "x1", content: "back", version: 5 }));
		expect(texts()).toEqual(["mine", ""]);
	});

	it.each([
		["no message", { type: "new_message" }],
		["a number for text", { type: "new_message", message: { roomName: "general", content: 5 } }],
		["another type", { type: "exec", message: { roomName: "general", content: "x" } }],
		["text without end", { type: "new_message", message: { roomName: "general", content: "x".repeat(70_000) } }],
		["nothing", {}],
	])("a payload with %s is nobody's message, and no fault", async (_name, payload) => {
		await using world = await open();
		const room = make(world.service, "general", { federated: true });
		world.service.receive({ fromMeshId: "e", fromMeshName: "E", id: "1", payload, signedBy: null });
		expect(world.service.messages.page(room.id, owner, { limit: 10 }).messages).toEqual([]);
	});

	it("text of others loses what would deceive: control characters, direction marks, lone surrogates, length", async () => {
		await using world = await open();
		const { service } = world;
		const room = make(service, "general", { federated: true });
		service.receive(
			incoming("new_message", {
				id: "x",
				senderName: "Ada\n\u202egro.evil\u0007",
				content: `a\u202eb\u0000c\r\nd\ud800${"😀".repeat(3000)}`,
			}),
		);
		const [message] = service.messages.page(room.id, owner, { limit: 1 }).messages;
		expect(message?.sender.name).toBe("Ada gro.evil");
		expect(message?.content.slice(0, 7)).toBe("abc\nd\ufffd😀".slice(0, 7));
		expect(message?.content.length).toBeLessThanOrEqual(roomLimits.maxContentLength);
		expect(message?.content.isWellFormed()).toBe(true);
	});

	it("a private room is not federated, and whatever has not left stays when federation ends", async () => {
		await using world = await open();
		const { service } = world;
		expect(() => make(service, "p", { visibility: "private", federated: true })).toThrow(/match rooms by name/);
		const room = make(service, "general", { federated: true });
		service.messages.post(room.id, "hello", owner);
		service.rooms.change(room.id, { federated: false }, owner);
		expect(service.waiting).toBe(0);
		expect(service.names()).toEqual({ wanted: [], shown: [] });
		expect(service.messages.page(room.id, owner, { limit: 1 }).messages[0]?.delivery).toBeNull();
	});

	it("a message that no gateway would take is refused where it is written, to the byte", async () => {
		await using world = await open();
		const { service } = world;
		const room = make(service, "general", { federated: true });
		const bytes = () => Buffer.byteLength(JSON.stringify(service.pending(0, 1)[0]?.payload));
		service.messages.post(room.id, "x", owner, "same-length-1");
		const room3 = Math.floor((roomLimits.maxFederatedBytes - bytes()) / 3);
		service.messages.post(room.id, `x${"€".repeat(room3)}`, owner, "same-length-2");
		expect(() => service.messages.post(room.id, `x${"€".repeat(room3 + 1)}`, owner, "same-length-3")).toThrow(
			/other warrens take 9500/,
		);
		expect(service.messages.page(room.id, owner, { limit: 10 }).messages).toHaveLength(2);
	});

	it("a gateway that never comes fills the outbox to its limit and stops nobody from speaking", async () => {
		await using world = await open();
		const { service } = world;
		const room = make(service, "general", { federated: true });
		for (let n = 0; n <= roomLimits.maxOutbox; n += 1) service.messages.post(room.id, "x", owner);
		expect(service.waiting).toBe(roomLimits.maxOutbox);
		const { messages } = service.messages.page(room.id, owner, { limit: 2 });
		expect(messages.map((message) => message.delivery?.slice(0, 8))).toEqual(["waiting", "rejected"]);
	});
});
