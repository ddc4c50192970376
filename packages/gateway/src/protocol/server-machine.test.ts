import { describe, expect, it } from "vitest";
import { gatewayLimits } from "./limits.ts";
import { ServerMachine } from "./server-machine.ts";
import { Hearing, SimulatedGateway } from "./simulated-gateway.testing.ts";

const all = { features: ["receipts", "ordered", "queue", "events", "interest"] };
const receipts = { features: ["receipts"] };
const relay = (targetMeshId: string, n: number | string, more: object = {}) => ({
	type: "gateway_relay",
	targetMeshId,
	payload: { type: "x", n },
	...more,
});
const broadcast = (n: number | string, more: object = {}) => ({
	type: "gateway_broadcast",
	payload: { type: "x", n },
	...more,
});

describe("what the original's clients see, literally", () => {
	it("G8 auth, discover, relay, broadcast, incoming: the original's fields and no others", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", { publicRooms: ["general"] });
		const b = Hearing.in(gateway, "b");
		const c = Hearing.in(gateway, "c");
		expect(a.messages).toEqual([{ type: "gateway_auth_ok", meshId: "a", name: "Mesh a" }]);
		a.say({ type: "gateway_discover" });
		expect(a.of("gateway_discover_result")).toEqual([
			{
				type: "gateway_discover_result",
				instances: [
					{ meshId: "a", name: "Mesh a", publicRooms: ["general"] },
					{ meshId: "b", name: "Mesh b", publicRooms: [] },
					{ meshId: "c", name: "Mesh c", publicRooms: [] },
				],
			},
		]);
		a.say(relay("b", 1));
		a.say(broadcast(2));
		const from = { type: "gateway_incoming", fromMeshId: "a", fromMeshName: "Mesh a" };
		expect(b.of("gateway_incoming")).toEqual([
			{ ...from, payload: { type: "x", n: 1 } },
			{ ...from, payload: { type: "x", n: 2 } },
		]);
		expect(c.of("gateway_incoming")).toEqual([{ ...from, payload: { type: "x", n: 2 } }]);
		expect(a.of("gateway_incoming")).toEqual([]);
		gateway.advance(1000);
		expect(a.messages.map((message) => message["type"])).toEqual(["gateway_auth_ok", "gateway_discover_result"]);
	});

	it("G16 participants are told at login, at a change, and taken back when their mesh leaves", () => {
		const gateway = new SimulatedGateway();
		const ada = { id: "1", name: "Ada", type: "human" };
		const bot = { id: "2", name: "Bot", type: "agent" };
		const a = Hearing.in(gateway, "a", { participants: [ada] });
		const b = Hearing.in(gateway, "b");
		const group = (participants: object[]) => ({
			type: "gateway_participants",
			remoteParticipants: [{ meshId: "a", meshName: "Mesh a", participants }],
		});
		expect(b.of("gateway_participants")).toEqual([group([ada])]);
		gateway.advance(1000);
		a.say({ type: "gateway_update_participants", participants: [ada, bot] });
		gateway.advance(100);
		a.cut();
		gateway.advance(100);
		expect(b.of("gateway_participants").slice(-2)).toEqual([group([ada, bot]), group([])]);
		expect(a.of("gateway_participants")).toEqual([]);
		expect(b.of("gateway_left"), "the original has no such message").toEqual([]);
	});

	it("G8 a client cannot say who it is in a message", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a");
		const b = Hearing.in(gateway, "b");
		a.say({ ...relay("b", 1), fromMeshId: "root", fromMeshName: "Root", type: "gateway_relay" });
		a.say('{"type":"gateway_relay","targetMeshId":"b","payload":{"__proto__":{"x":1},"fromMeshId":"root"}}');
		expect(b.of("gateway_incoming").map((each) => each["fromMeshId"])).toEqual(["a", "a"]);
	});
});

describe("faults of the original", () => {
	it("G4 a second login: the end of the older socket does not take the newer one away", () => {
		const gateway = new SimulatedGateway();
		const b = Hearing.in(gateway, "b");
		const older = Hearing.in(gateway, "a");
		const newer = Hearing.in(gateway, "a");
		expect(older.ended?.code).toBe(4409);
		gateway.machine.closed(older.socket, gateway.now, gateway.now);
		b.say(relay("a", 1));
		expect(newer.payloads).toEqual([{ type: "x", n: 1 }]);
		expect(older.payloads).toEqual([]);
		expect(gateway.machine.connected).toBe(2);
		newer.cut();
		expect(gateway.machine.connected).toBe(1);
	});

	it("G6 G19 a relay without a payload gets an error, and everything goes on", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a");
		const b = Hearing.in(gateway, "b");
		for (const payload of [undefined, null, 5, "text", []])
			a.say({ type: "gateway_relay", targetMeshId: "b", payload });
		expect(a.of("error")).toHaveLength(5);
		a.say(relay("b", 1));
		expect(b.payloads).toEqual([{ type: "x", n: 1 }]);
		expect(a.ended).toBeNull();
	});

	it("G9 an offline target: the sender is told, also that nobody has ever registered so", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", receipts);
		a.say(relay("nobody", 1, { id: "m1" }));
		expect(a.of("gateway_receipt")).toEqual([{ type: "gateway_receipt", id: "m1", outcome: "offline" }]);
	});

	it("G6 size is bytes and not characters, exact to one byte", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a");
		const b = Hearing.in(gateway, "b");
		const empty = Buffer.byteLength(JSON.stringify({ t: "" }));
		const fits = "ü".repeat((gatewayLimits.payloadBytes - empty) / 2);
		a.say({ type: "gateway_broadcast", payload: { t: fits } });
		a.say({ type: "gateway_broadcast", payload: { t: `${fits}!` } });
		expect(b.payloads).toEqual([{ t: fits }]);
		expect(a.of("error")).toEqual([
			{ type: "error", message: `Payload too large (max 10240 bytes): this one has ${gatewayLimits.payloadBytes + 1}` },
		]);
	});

	it("G6 spaces that a payload was written with do not count", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a");
		const b = Hearing.in(gateway, "b");
		const spaces = " ".repeat(gatewayLimits.payloadBytes);
		a.say(`{"type":"gateway_broadcast","payload":{"t":${spaces}"small"}}`);
		expect(b.payloads).toEqual([{ t: "small" }]);
	});

	it("G1 a flood before the login ends it, and costs nobody else", () => {
		const gateway = new SimulatedGateway();
		const b = Hearing.in(gateway, "b");
		const noisy = new Hearing(gateway);
		for (let n = 0; n < 20; n += 1) noisy.say(broadcast(n));
		expect(noisy.of("gateway_auth_error").map((each) => each["message"])).toEqual(Array(5).fill("Not authenticated"));
		expect(noisy.ended?.code).toBe(4400);
		expect(b.payloads).toEqual([]);
	});

	it("G1 whoever does not sign in within 10 s is told so, to the millisecond", () => {
		const gateway = new SimulatedGateway();
		const silent = new Hearing(gateway);
		gateway.advance(9_999);
		expect(silent.ended).toBeNull();
		gateway.advance(1);
		expect(silent.messages).toEqual([{ type: "gateway_auth_error", message: "Auth timeout" }]);
		expect(silent.ended?.code).toBe(4503);
	});

	it("G2 wrong credentials and an unknown mesh get the same answer", () => {
		const gateway = new SimulatedGateway();
		gateway.secrets.set("a", "right");
		const answers = ["a", "unknown"].map((meshId) => {
			const client = new Hearing(gateway);
			client.say({ type: "gateway_auth", meshId, secret: "wrong" });
			return { messages: client.messages, ended: client.ended };
		});
		expect(answers[0]).toEqual(answers[1]);
		expect(answers[0]?.messages).toEqual([{ type: "gateway_auth_error", message: "Invalid credentials" }]);
		expect(answers[0]?.ended?.code).toBe(4401);
	});

	it("G5 malformed messages get an error each; the tenth in a minute closes", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a");
		const bad = ["", "{", "[]", "null", "5", '"x"', '{"type":5}', '{"type":"nope"}', '{"type":"constructor"}'];
		for (const each of bad) a.say(each);
		expect(a.of("error")).toHaveLength(bad.length);
		expect(a.ended).toBeNull();
		a.say("}");
		expect(a.ended?.code).toBe(4400);
	});

	it("G7 the 61st message in a minute is refused with limit and wait; it passes after that wait", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", receipts);
		const b = Hearing.in(gateway, "b");
		for (let n = 1; n <= 61; n += 1) a.say(broadcast(n, { id: `m${n}` }));
		expect(b.payloads).toHaveLength(60);
		const last = a.of("gateway_receipt").at(-1);
		expect(last).toMatchObject({ id: "m61", outcome: "rejected", code: "rate_limited", retryAfterMs: 1000 });
		expect(last?.["message"]).toBe("Rate limited (max 60 messages/minute): try again in 1 s");
		gateway.advance(999);
		a.say(broadcast(61, { id: "m61" }));
		expect(b.payloads).toHaveLength(60);
		gateway.advance(1);
		a.say(broadcast(61, { id: "m61" }));
		expect(b.payloads).toHaveLength(61);
	});
});

describe("receipts, queues, order", () => {
	it("G9 delivered means acknowledged, where the receiver can; the receipt waits for it", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b", all);
		a.say(relay("b", 1, { id: "m1" }));
		expect(a.of("gateway_receipt")).toEqual([]);
		b.say({ type: "gateway_ack", count: 1 });
		expect(a.of("gateway_receipt")).toEqual([{ type: "gateway_receipt", id: "m1", outcome: "delivered" }]);
		expect(gateway.queueOf("b"), "nothing touched the disk").toEqual([]);
	});

	it("G10 a repeated id is passed on once, and its receipt comes again", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b", all);
		a.say(relay("b", 1, { id: "m1" })).say(relay("b", 1, { id: "m1" }));
		b.say({ type: "gateway_ack", count: 1 });
		a.say(relay("b", 1, { id: "m1" }));
		expect(b.payloads).toHaveLength(1);
		expect(a.of("gateway_receipt").map((each) => each["outcome"])).toEqual(["delivered", "delivered"]);
		// Another mesh's ids are its own.
		Hearing.in(gateway, "c", all).say(relay("b", 2, { id: "m1" }));
		expect(b.payloads).toHaveLength(2);
	});

	it("G11 what is not acknowledged when the connection ends is on disk before the sender is told", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b", all);
		a.say(relay("b", 1, { id: "m1" })).say(relay("b", 2, { id: "m2" }));
		b.say({ type: "gateway_ack", count: 1 });
		b.cut();
		expect(a.of("gateway_receipt").map((each) => [each["id"], each["outcome"]])).toEqual([
			["m1", "delivered"],
			["m2", "queued"],
		]);
		expect(gateway.queueOf("b").map((row) => row.id)).toEqual(["m2"]);
		a.say(relay("b", 3, { id: "m3" }));
		gateway.crash();
		const again = Hearing.in(gateway, "b", all);
		expect(again.payloads).toEqual([
			{ type: "x", n: 2 },
			{ type: "x", n: 3 },
		]);
		again.say({ type: "gateway_ack", count: 2 });
		expect(gateway.queueOf("b")).toEqual([]);
		again.cut();
		expect(Hearing.in(gateway, "b", all).payloads).toEqual([]);
	});

	it("G11 a receiver that does not acknowledge within 10 s has it on disk, and it is not sent twice on that connection", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b", all);
		a.say(relay("b", 1, { id: "m1" }));
		gateway.advance(11_000);
		expect(a.of("gateway_receipt")).toMatchObject([{ id: "m1", outcome: "queued" }]);
		a.say(relay("b", 2, { id: "m2" }));
		expect(b.payloads).toHaveLength(2);
		b.say({ type: "gateway_ack", count: 2 });
		expect(gateway.queueOf("b")).toEqual([]);
		expect(a.of("gateway_receipt").at(-1)).toMatchObject({ id: "m2", outcome: "delivered" });
	});

	it("G11 no more than the window is on its way; the rest waits on disk and follows in order", () => {
		const gateway = new SimulatedGateway({ maxInflight: 4, messagesPerMinute: 1000, loadBatch: 3 });
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b", all);
		for (let n = 1; n <= 20; n += 1) a.say(relay("b", n, { id: `m${n}` }));
		expect(b.payloads).toHaveLength(4);
		expect(gateway.queueOf("b"), "with everything that comes before").toHaveLength(20);
		for (let count = 1; count <= 20; count += 1) b.say({ type: "gateway_ack", count });
		expect(b.payloads).toEqual(Array.from({ length: 20 }, (_, index) => ({ type: "x", n: index + 1 })));
		expect(gateway.queueOf("b")).toEqual([]);
		a.say(relay("b", 21, { id: "m21" }));
		expect(b.payloads).toHaveLength(21);
	});

	it("G12 a queue is bounded by count, by bytes, by a share for each sender and by age, at limit + 1", () => {
		const gateway = new SimulatedGateway({ maxQueuedMessages: 4, maxQueuedBytes: 4_000, messagesPerMinute: 1000 });
		const a = Hearing.in(gateway, "a", receipts);
		const c = Hearing.in(gateway, "c", receipts);
		Hearing.in(gateway, "b", all).cut();
		const outcomes = (client: Hearing) =>
			client.of("gateway_receipt").map((each) => [each["id"], each["outcome"], each["code"]]);
		a.say(relay("b", "x".repeat(800), { id: "a1" })).say(relay("b", "x".repeat(800), { id: "a2" }));
		expect(outcomes(a)).toEqual([
			["a1", "queued", undefined],
			["a2", "rejected", "queue_full"],
		]);
		for (const id of ["c1", "c2", "c3", "c4"]) c.say(relay("b", 1, { id }));
		expect(outcomes(c)).toEqual([
			["c1", "queued", undefined],
			["c2", "queued", undefined],
			["c3", "queued", undefined],
			["c4", "rejected", "queue_full"],
		]);
		expect(c.of("gateway_receipt").at(-1)).toMatchObject({
			message: "The queue of b holds 4 messages",
			retryAfterMs: 30_000,
		});
		gateway.advance(gatewayLimits.ttlMs);
		const b = Hearing.in(gateway, "b", all);
		expect(b.payloads, "too old for anybody").toEqual([]);
		expect(gateway.queueOf("b")).toEqual([]);
	});

	it("G12 a message lives for its own ttl", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", receipts);
		Hearing.in(gateway, "b", all).cut();
		a.say(relay("b", 1, { id: "m1", ttlMs: 1000 })).say(relay("b", 2, { id: "m2", ttlMs: 1001 }));
		gateway.advance(1000);
		expect(Hearing.in(gateway, "b", all).payloads).toEqual([{ type: "x", n: 2 }]);
	});

	it("G9 a full disk queues nothing and says so; the sender may try again", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", receipts);
		Hearing.in(gateway, "b", all).cut();
		gateway.diskFull = true;
		a.say(relay("b", 1, { id: "m1" }));
		expect(a.of("gateway_receipt")).toMatchObject([{ outcome: "rejected", code: "store_failed", retryAfterMs: 5000 }]);
		gateway.diskFull = false;
		a.say(relay("b", 1, { id: "m1" }));
		expect(a.of("gateway_receipt").at(-1)).toMatchObject({ outcome: "queued" });
		expect(Hearing.in(gateway, "b", all).payloads).toHaveLength(1);
	});

	it("G13 after a rejection nothing overtakes it", () => {
		const gateway = new SimulatedGateway({ messagesPerMinute: 2 });
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b");
		for (const n of [1, 2, 3]) a.say(relay("b", n, { id: `m${n}` }));
		gateway.advance(60_000);
		a.say(relay("b", 4, { id: "m4" }));
		expect(a.of("gateway_receipt").map((each) => [each["id"], each["code"]])).toEqual([
			["m1", undefined],
			["m2", undefined],
			["m3", "rate_limited"],
			["m4", "after_rejected"],
		]);
		a.say(relay("b", 3, { id: "m3" })).say(relay("b", 4, { id: "m4" }));
		expect(b.payloads).toEqual([1, 2, 3, 4].map((n) => ({ type: "x", n })));
	});

	it("G17 a queue is for those who acknowledge: a login without it leaves it on disk", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", receipts);
		Hearing.in(gateway, "b", all).cut();
		a.say(relay("b", 1, { id: "m1" }));
		const plain = Hearing.in(gateway, "b");
		expect(plain.payloads).toEqual([]);
		a.say(relay("b", 2, { id: "m2" }));
		expect(plain.payloads).toEqual([{ type: "x", n: 2 }]);
		plain.cut();
		expect(Hearing.in(gateway, "b", all).payloads).toEqual([{ type: "x", n: 1 }]);
	});

	it("G11 an acknowledgement of what was never sent is a fault, not a hole", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b", all);
		b.say({ type: "gateway_ack", count: 1 });
		a.say(relay("b", 1, { id: "m1" }));
		expect(b.of("error")).toHaveLength(1);
		b.cut();
		expect(gateway.queueOf("b")).toHaveLength(1);
	});
});

describe("interest, lists, presence, challenge, drain", () => {
	it("G14 a room's broadcast reaches those who want it, those away too, and those who declare nothing", () => {
		const gateway = new SimulatedGateway();
		const wanting = Hearing.in(gateway, "wanting", all).say({ type: "gateway_interest", rooms: ["general"] });
		const other = Hearing.in(gateway, "other", all).say({ type: "gateway_interest", rooms: ["elsewhere"] });
		const away = Hearing.in(gateway, "away", all).say({ type: "gateway_interest", rooms: ["general"] });
		away.cut();
		const blind = Hearing.in(gateway, "blind");
		const a = Hearing.in(gateway, "a", all);
		a.say(broadcast(1, { id: "m1", room: "general" }));
		wanting.say({ type: "gateway_ack", count: 1 });
		expect([wanting, other, blind].map((each) => each.payloads.length)).toEqual([1, 0, 1]);
		expect(a.of("gateway_receipt")).toEqual([
			{ type: "gateway_receipt", id: "m1", outcome: "queued", delivered: 2, queued: 1, offline: 0 },
		]);
		gateway.crash();
		expect(Hearing.in(gateway, "away", all).payloads).toHaveLength(1);
	});

	it("G14 the original's nodes name the room in their payload, and that counts", () => {
		const gateway = new SimulatedGateway();
		const wanting = Hearing.in(gateway, "wanting", all).say({ type: "gateway_interest", rooms: ["general"] });
		const other = Hearing.in(gateway, "other", all).say({ type: "gateway_interest", rooms: ["elsewhere"] });
		const a = Hearing.in(gateway, "a");
		a.say({ type: "gateway_broadcast", payload: { type: "new_message", message: { roomName: "general" } } });
		expect([wanting, other].map((each) => each.payloads.length)).toEqual([1, 0]);
		expect(wanting.of("gateway_incoming")[0]?.["id"], "made by the gateway").toMatch(/^[\w.:-]{1,64}$/);
	});

	it("G15 those who do not admit each other do not see each other", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", { ...all, participants: [{ id: "1", name: "A", type: "human" }] });
		a.say({ type: "gateway_access", allow: null, block: ["b"] });
		gateway.advance(1000);
		const b = Hearing.in(gateway, "b", all);
		b.say({ type: "gateway_discover" });
		b.say(relay("a", 1, { id: "m1" })).say(broadcast(2, { id: "m2" }));
		gateway.advance(1000);
		expect(b.of("gateway_discover_result")[0]?.["instances"].map((each: any) => each.meshId)).toEqual(["b"]);
		expect(b.of("gateway_participants")).toEqual([]);
		expect(b.of("gateway_receipt").map((each) => each["outcome"])).toEqual(["offline", "offline"]);
		expect(a.of("gateway_incoming")).toEqual([]);
		expect(a.of("gateway_joined")).toEqual([]);
		a.cut();
		gateway.crash();
		b.cut();
		Hearing.in(gateway, "b", receipts).say(relay("a", 3, { id: "m3" }));
		expect(gateway.queueOf("a"), "lists outlive the process").toEqual([]);
	});

	it("G16 joins and leaves are told to those who asked, together, and never about oneself", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", all);
		gateway.advance(1000);
		Hearing.in(gateway, "b", { publicRooms: ["r"] });
		Hearing.in(gateway, "c");
		gateway.advance(100);
		expect(a.of("gateway_joined")).toEqual([
			{
				type: "gateway_joined",
				instances: [
					{ meshId: "b", name: "Mesh b", publicRooms: ["r"] },
					{ meshId: "c", name: "Mesh c", publicRooms: [] },
				],
			},
		]);
		const again = Hearing.in(gateway, "b");
		gateway.advance(100);
		expect(a.of("gateway_left"), "a newer login is no leave").toEqual([]);
		again.cut();
		gateway.advance(100);
		expect(a.of("gateway_left")).toEqual([{ type: "gateway_left", meshIds: ["b"] }]);
	});

	it("G3 a key signs the host, the mesh and a nonce that is good on its own connection alone", () => {
		const gateway = new SimulatedGateway();
		const auth = (more: object) => ({ type: "gateway_auth", meshId: "a", publicKey: "k", ...more });
		const first = new Hearing(gateway);
		first.say(auth({}));
		const nonce = first.messages[0]?.["nonce"];
		const signature = `signed warren-gateway-v1\ngateway.example\na\n${nonce}`;
		const thief = new Hearing(gateway);
		thief.say(auth({})).say(auth({ nonce, signature }));
		expect(thief.ended?.code).toBe(4401);
		const eager = new Hearing(gateway);
		eager.say(auth({ nonce, signature }));
		expect(eager.ended?.code).toBe(4401);
		first.say(auth({ nonce, signature }));
		expect(first.messages.at(-1)).toMatchObject({ type: "gateway_auth_ok", meshId: "a" });
	});

	it("G18 a stop tells those with features, keeps what is on its way, and closes everybody to come again", () => {
		const gateway = new SimulatedGateway();
		const a = Hearing.in(gateway, "a", all);
		const b = Hearing.in(gateway, "b", all);
		const plain = Hearing.in(gateway, "plain");
		a.say(relay("b", 1, { id: "m1" }));
		gateway.machine.stop(gateway.now, gateway.now);
		gateway.perform();
		expect(b.of("gateway_drain")).toHaveLength(1);
		expect(plain.of("gateway_drain")).toHaveLength(0);
		expect([a, b, plain].map((each) => each.ended?.code)).toEqual([1012, 1012, 1012]);
		expect(gateway.queueOf("b")).toHaveLength(1);
	});

	it("what is said before the login is answered waits for it, and not without bound", () => {
		const gateway = new SimulatedGateway();
		const b = Hearing.in(gateway, "b");
		gateway.secrets.set("a", "s");
		const a = new Hearing(gateway);
		gateway.machine.receive(a.socket, JSON.stringify({ type: "gateway_auth", meshId: "a", secret: "s" }), 0, 0);
		gateway.machine.receive(a.socket, JSON.stringify(relay("b", 1)), 0, 0);
		gateway.perform();
		expect(b.payloads).toHaveLength(1);
		const flood = new Hearing(gateway);
		gateway.machine.receive(flood.socket, JSON.stringify({ type: "gateway_auth", meshId: "a", secret: "s" }), 0, 0);
		for (let n = 0; n <= gatewayLimits.maxHeldMessages; n += 1)
			gateway.machine.receive(flood.socket, JSON.stringify(relay("b", 2)), 0, 0);
		gateway.perform();
		expect(flood.ended?.code).toBe(4400);
	});
});

describe("logins", () => {
	it("G7 one mesh that comes and goes is told to everybody 30 times a minute, and no more", () => {
		const gateway = new SimulatedGateway();
		const watcher = Hearing.in(gateway, "b", { features: ["events"] });
		const rooms = Array.from({ length: gatewayLimits.maxRooms }, (_, at) => `room ${at}`);
		let refused: Hearing | undefined;
		for (let each = 0; each < 100 && refused === undefined; each++) {
			const a = Hearing.in(gateway, "a", { publicRooms: rooms });
			if (a.ended !== null) refused = a;
			else a.cut();
			gateway.advance(gatewayLimits.presenceMs);
		}
		expect(refused?.ended).toMatchObject({ code: 4503 });
		expect(refused?.messages).toEqual([
			{
				type: "gateway_auth_error",
				message: expect.stringMatching(/^Too many logins of this mesh: try again in \d s$/),
			},
		]);
		expect(watcher.of("gateway_left").length + watcher.of("gateway_joined").length).toBeLessThan(70);
		gateway.advance(60_000);
		expect(Hearing.in(gateway, "a").ended).toBeNull();
	});
});

describe("credentials that change", () => {
	it("G2 a login that is being looked at while they do comes again", () => {
		const machine = new ServerMachine({ nonce: () => "nonce" });
		const login = (socket: number, meshId: string) => {
			const session = machine.opened(socket, { address: "192.0.2.1", host: "gateway" }, 0);
			machine.hear(session, JSON.stringify({ type: "gateway_auth", meshId, secret: "old" }), 0, 0);
		};
		login(1, "a");
		login(2, "b");
		machine.revoked("a", 0, 0);
		for (const [socket, meshId] of [
			[1, "a"],
			[2, "b"],
		] as const)
			machine.verified(socket, { ok: true, meshId, name: meshId }, 0, 0);
		expect([machine.isOnline("a"), machine.isOnline("b")]).toEqual([false, true]);
		expect(machine.drain()).toContainEqual(expect.objectContaining({ kind: "close", socket: 1, code: 4503 }));
	});
});
