import { describe, expect, it } from "vitest";
import { type ClientEffect, ClientMachine } from "./client-machine.ts";
import { clientLimits } from "./limits.ts";

const access = { allow: null, block: [] as string[] };
const announcement = { publicRooms: ["general"], participants: [], interest: ["general"], access };
const key = { publicKey: "the-key", sign: (text: string) => `signed ${text}` };
const credentials = { meshId: "a", secret: "s", host: "gateway.example", key, login: "secret" as const };
const entry = (seq: number) => ({ seq, id: `m${seq}`, targetMeshId: null, room: "general", payload: { n: seq } });

/** A machine, signed in, whose outbox holds so many entries. */
function signedIn(
	options: { readonly entries?: number; readonly features?: readonly string[]; readonly credentials?: object } = {},
) {
	const machine = new ClientMachine({ ...credentials, ...options.credentials });
	const settled = new Map<number, string>();
	const said: Record<string, any>[] = [];
	const other: ClientEffect[] = [];
	let entries = Array.from({ length: options.entries ?? 0 }, (_, index) => entry(index + 1));
	const perform = (now: number) => {
		for (let effects = machine.drain(); effects.length > 0; effects = machine.drain()) {
			for (const effect of effects) {
				if (effect.kind === "send") said.push(JSON.parse(effect.text));
				else if (effect.kind === "pull")
					machine.offer(entries.filter((each) => each.seq > effect.after).slice(0, effect.limit), now);
				else if (effect.kind === "settle") {
					settled.set(effect.seq, effect.outcome.outcome);
					entries = entries.filter((each) => each.seq !== effect.seq);
				} else other.push(effect);
			}
		}
	};
	const hear = (message: object, now = 0) => {
		machine.receive(JSON.stringify(message), now);
		perform(now);
	};
	const signIn = (now: number) => {
		machine.opened(announcement, now);
		perform(now);
		const features = options.features ?? ["receipts", "ordered", "queue", "interest"];
		hear({ type: "gateway_auth_ok", meshId: "a", name: "A", ...(features.length === 0 ? {} : { features }) }, now);
	};
	signIn(0);
	const sent = () => said.filter((each) => each["type"] === "gateway_broadcast").map((each) => each["id"]);
	return { machine, settled, said, other, perform, hear, sent, signIn };
}

describe("a mesh's side", () => {
	it.each([4401, 4403, 4409])("C1 close %i stops the link; others do not", (code) => {
		const { machine, other } = signedIn();
		machine.closed(code, "");
		expect(machine.drain().map((effect) => effect.kind)).toEqual(["refused"]);
		for (const passing of [1006, 1012, 1013, 4503, 4400]) {
			machine.closed(passing, "");
			expect(machine.drain()).toEqual([]);
		}
		expect(other.map((effect) => effect.kind)).toEqual(["signed-in"]);
	});

	it("C1 wrong credentials stop it, too many logins do not", () => {
		const { hear, other } = signedIn();
		hear({ type: "gateway_auth_error", message: "Too many logins from your address: try again in 5 s" });
		expect(other.map((effect) => effect.kind)).toEqual(["signed-in", "close"]);
		hear({ type: "gateway_auth_error", message: "Invalid credentials" });
		expect(other.map((effect) => effect.kind)).toEqual(["signed-in", "close", "refused", "close"]);
	});

	it("C2 at most 64 wait for their receipt; each one that comes lets the next go", () => {
		const { hear, sent, settled } = signedIn({ entries: 100 });
		expect(sent()).toHaveLength(clientLimits.maxInflight);
		hear({ type: "gateway_receipt", id: "m1", outcome: "delivered" });
		hear({ type: "gateway_receipt", id: "m1", outcome: "delivered" });
		hear({ type: "gateway_receipt", id: "unheard-of", outcome: "delivered" });
		expect(sent()).toHaveLength(clientLimits.maxInflight + 1);
		expect([...settled]).toEqual([[1, "delivered"]]);
	});

	it("C2 a rejection that may be tried again rewinds to it, after the wait, in order", () => {
		const { machine, hear, sent, perform, settled } = signedIn({ entries: 3 });
		hear({ type: "gateway_receipt", id: "m1", outcome: "queued" });
		hear({ type: "gateway_receipt", id: "m2", outcome: "rejected", code: "rate_limited", retryAfterMs: 1000 }, 0);
		hear({ type: "gateway_receipt", id: "m3", outcome: "rejected", code: "after_rejected", retryAfterMs: 0 }, 0);
		expect(machine.deadline()).toBe(1000);
		machine.tick(999);
		perform(999);
		expect(sent()).toEqual(["m1", "m2", "m3"]);
		machine.tick(1000);
		perform(1000);
		expect(sent()).toEqual(["m1", "m2", "m3", "m2", "m3"]);
		hear({ type: "gateway_receipt", id: "m2", outcome: "rejected", code: "too_large" }, 1000);
		expect([...settled]).toEqual([
			[1, "queued"],
			[2, "rejected"],
		]);
	});

	it("C2 a new connection begins with the oldest that has no receipt", () => {
		const { machine, hear, sent, signIn } = signedIn({ entries: 3 });
		hear({ type: "gateway_receipt", id: "m1", outcome: "delivered" });
		machine.closed(1006, "");
		signIn(5000);
		expect(sent()).toEqual(["m1", "m2", "m3", "m2", "m3"]);
	});

	it("C6 with a key it signs the challenge for the host that it dialled, and its secret stays here", () => {
		const { said, hear } = signedIn({ credentials: { login: "key", secret: "stays-here" } });
		expect(said[0]).toEqual({ type: "gateway_auth", meshId: "a", publicKey: "the-key" });
		const machine = new ClientMachine({ ...credentials, login: "key" });
		machine.opened(announcement, 0);
		machine.receive(JSON.stringify({ type: "gateway_challenge", nonce: "n1", host: "evil.example" }), 0);
		const [, answer] = machine.drain().map((effect) => effect.kind === "send" && JSON.parse(effect.text));
		expect(answer).toMatchObject({
			publicKey: "the-key",
			nonce: "n1",
			signature: "signed warren-gateway-v1\ngateway.example\na\nn1",
			publicRooms: ["general"],
			features: ["receipts", "ordered", "queue", "events", "interest"],
		});
		for (const nonce of [5, null, "x".repeat(257)]) hear({ type: "gateway_challenge", nonce });
		hear({ type: "gateway_challenge", nonce: "after the login" });
		expect(JSON.stringify(said)).not.toContain("stays-here");
		expect(said.filter((each) => each["signature"] !== undefined)).toEqual([]);
	});

	it("C6 one that signs in by secret signs nobody's challenge", () => {
		const machine = new ClientMachine(credentials);
		machine.opened(announcement, 0);
		machine.drain();
		machine.receive(JSON.stringify({ type: "gateway_challenge", nonce: "n1" }), 0);
		expect(machine.drain()).toEqual([]);
	});

	it("C7 whom it talks with is told before anything is sent, and again when it changes", () => {
		const { machine, said, perform } = signedIn({ entries: 1 });
		const types = said.map((each) => each["type"]);
		expect(types.indexOf("gateway_access")).toBeGreaterThan(0);
		expect(types.indexOf("gateway_access")).toBeLessThan(types.indexOf("gateway_broadcast"));
		machine.announce({ ...announcement, access: { allow: ["b"], block: ["c"] } }, 0);
		machine.announce({ ...announcement, access: { allow: ["b"], block: ["c"] } }, 0);
		perform(0);
		expect(said.filter((each) => each["type"] === "gateway_access")).toEqual([
			{ type: "gateway_access", allow: null, block: [] },
			{ type: "gateway_access", allow: ["b"], block: ["c"] },
		]);
	});

	it("C3 what was kept is acknowledged, together, and nonsense in between does not stop it", () => {
		const { machine, hear, said, other, perform } = signedIn();
		const incoming = { type: "gateway_incoming", fromMeshId: "b", fromMeshName: "B", payload: { x: 1 } };
		for (const id of ["1", "2"]) hear({ ...incoming, id });
		hear({ ...incoming, payload: null });
		const acks = () => said.filter((each) => each["type"] === "gateway_ack");
		const turn = (now: number) => {
			machine.tick(now);
			machine.acknowledge();
			perform(now);
		};
		turn(0);
		expect(machine.deadline()).toBe(clientLimits.ackMs);
		turn(clientLimits.ackMs - 1);
		expect(acks()).toEqual([]);
		turn(clientLimits.ackMs);
		expect(acks()).toEqual([{ type: "gateway_ack", count: 1 }]);
		for (const effect of other) if (effect.kind === "keep") machine.kept();
		turn(100);
		turn(100);
		turn(100 + clientLimits.ackMs);
		expect(said.filter((each) => each["type"] === "gateway_ack")).toEqual([
			{ type: "gateway_ack", count: 1 },
			{ type: "gateway_ack", count: 3 },
		]);
	});

	it("C3 many at once are acknowledged at once", () => {
		const { machine, hear, said, perform } = signedIn();
		for (let count = 1; count <= clientLimits.maxUntold; count += 1) {
			hear({ type: "gateway_incoming", fromMeshId: "b", fromMeshName: "B", payload: {}, id: `i${count}` });
			machine.kept();
			machine.acknowledge();
			perform(0);
			const told = said.filter((each) => each["type"] === "gateway_ack");
			expect(told).toEqual(count < clientLimits.maxUntold ? [] : [{ type: "gateway_ack", count }]);
		}
	});

	it("C4 a gateway without features hears the original's messages alone, 60 a minute", () => {
		const { machine, said, settled, perform } = signedIn({ entries: 61, features: [] });
		const types = new Set(said.map((each) => each["type"]));
		expect([...types]).toEqual(["gateway_auth", "gateway_broadcast"]);
		expect(said.at(-1)).toMatchObject({ type: "gateway_broadcast", payload: { n: 60 } });
		expect(settled.size).toBe(60);
		machine.tick(1000);
		perform(1000);
		expect(settled.size).toBe(61);
	});

	it("C5 pings after 20 s of silence and gives up 10 s later, to the millisecond", () => {
		const { machine, said, other, perform, hear } = signedIn();
		machine.tick(19_999);
		perform(19_999);
		expect(said.at(-1)?.["type"]).toBe("gateway_interest");
		machine.tick(20_000);
		perform(20_000);
		expect(said.at(-1)?.["type"]).toBe("gateway_ping");
		hear({ type: "gateway_pong" }, 29_999);
		machine.tick(49_999);
		perform(49_999);
		machine.tick(59_998);
		perform(59_998);
		expect(other.map((effect) => effect.kind)).toEqual(["signed-in"]);
		machine.tick(59_999);
		perform(59_999);
		expect(other.at(-1)).toEqual({ kind: "close", reason: "the gateway fell silent" });
	});

	it.each([
		"",
		"{",
		"null",
		"[]",
		'{"type":5}',
		'{"type":"gateway_receipt"}',
		'{"type":"gateway_participants","remoteParticipants":7}',
	])("a gateway that says %j breaks nothing", (text) => {
		const { machine } = signedIn({ entries: 1 });
		expect(() => machine.receive(text, 0)).not.toThrow();
		expect(machine.isIn).toBe(true);
	});
});
