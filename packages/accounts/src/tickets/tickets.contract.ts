import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { rmSync } from "node:fs";
import { firstOf, HealthTable, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { bearer, nextAddress, type OpenTables, password, TestHub } from "../hub.testing.ts";
import { HubLink } from "../link/hub-link.ts";
import { joinMachine, testJoin } from "../machines/machines.contract.ts";
import { type DeviceKey, proofMessage, thumbprint } from "./device-key.ts";
import { Enrolled, type EnrolledTables, enrolledSchema } from "./enrolled.ts";
import { verifyTicket } from "./ticket.ts";
import { ticketRoutes } from "./ticket-routes.ts";

class Device {
	readonly #private: KeyObject;
	readonly key: DeviceKey;
	constructor() {
		const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		this.#private = privateKey;
		this.key = publicKey.export({ format: "jwk" }) as DeviceKey;
	}
	prove(nonce: string, audience: string, path: string): string {
		return sign("sha256", Buffer.from(proofMessage(nonce, audience, path)), {
			key: this.#private,
			dsaEncoding: "ieee-p1363",
		}).toString("base64url");
	}
}

/** Device tickets from the hub that signs them to the node that takes them with the hub away. */
export function ticketsSuite(open: OpenTables): void {
	const openHub = async () => TestHub.open(open, { deps: { join: await testJoin() } });
	const issue = (hub: TestHub, token: string, node: string, device = new Device()) =>
		hub.call("POST", "/me/tickets", { deviceKey: thumbprint(device.key), node }, bearer(token));

	describe("device tickets at the hub", () => {
		it("are for one's own machines alone, and never for an API key", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const bob = await hub.person(owner, "bob@example.test");
			const { body: attic } = await joinMachine(hub, owner);
			expect((await issue(hub, owner, attic.nodeId)).status).toBe(201);
			const other = await issue(hub, bob, attic.nodeId);
			expect([other.status, other.body.error]).toEqual([403, "not_your_machine"]);
			expect((await issue(hub, owner, "nowhere00")).status).toBe(404);
			const key = (await hub.call("POST", "/auth/api-key/create", { name: "ci" }, bearer(owner))).body.key;
			expect((await issue(hub, key, attic.nodeId)).status).toBe(403);
			await hub.accounts.registerHub("hubnode00", {
				name: "burrow",
				hosts: ["burrow.local"],
				port: 5151,
				version: "1",
			});
			expect((await issue(hub, owner, "hubnode00")).status).toBe(201);
			expect((await issue(hub, bob, "hubnode00")).status).toBe(403);
		});

		it("keep their identifier when renewed, and are taken back with another key", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const { body: attic } = await joinMachine(hub, owner);
			const device = new Device();
			const first = await issue(hub, owner, attic.nodeId, device);
			const renewed = await issue(hub, owner, attic.nodeId, device);
			expect(renewed.body.ticketId).toBe(first.body.ticketId);
			const other = await issue(hub, owner, attic.nodeId);
			expect(other.body.ticketId).not.toBe(first.body.ticketId);
			const list = await hub.call("GET", "/me/tickets", undefined, bearer(owner));
			expect(list.body.tickets.map((each: any) => each.id)).toEqual([other.body.ticketId]);
		});

		it("are listed as revoked for machines, signed, with an ETag", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const { body: attic } = await joinMachine(hub, owner);
			const get = (etag = "") =>
				hub.call("GET", "/v1/revocations", undefined, { ...bearer(attic.nodeToken), "if-none-match": etag });
			const before = await get();
			const etag = before.headers.get("etag") ?? "";
			expect((await get(etag)).status).toBe(304);
			const { body: ticket } = await issue(hub, owner, attic.nodeId);
			expect((await hub.call("DELETE", `/me/tickets/${ticket.ticketId}`, undefined, bearer(owner))).status).toBe(204);
			const after = await get(etag);
			expect([after.status, after.headers.get("etag") === etag]).toEqual([200, false]);
		});
	});

	it("a device enrols at a node with the hub away; revoked, it is refused there and what it enrolled ends", async () => {
		using folder = tempFolder("tickets");
		const hub = await openHub();
		const owner = await hub.owner();
		const phone = (
			await hub.call(
				"POST",
				"/auth/login",
				{ email: "ada@example.test", password },
				{ "x-forwarded-for": nextAddress() },
			)
		).body.token as string;
		const { body: attic } = await joinMachine(hub, owner);
		const device = new Device();
		const { body: issued } = await issue(hub, phone, attic.nodeId, device);

		// The node: what it holds comes from the join and from its link to the hub.
		const tables = await openSqliteTables<EnrolledTables & AuditTable>(":memory:", [enrolledSchema, auditSchema]);
		const enrolled = new Enrolled(tables.db);
		const devices = new Set<string>();
		const options = {
			hubUrl: hub.origin,
			nodeId: attic.nodeId,
			nodeToken: attic.nodeToken,
			ca: null,
			ticketKeys: [attic.ticketKey],
			file: folder.file("hub.json"),
			self: () => ({}),
		};
		const deps = {
			clock: systemClock,
			random: systemRandom,
			logger: silentLogger,
			health: new HealthTable(systemClock),
		};
		let link = HubLink.open(deps, options);
		const node = await Listener.open(deps, {
			role: "node",
			host: "127.0.0.1",
			port: 0,
			tls: null,
			hosts: new HostTable(["localhost"]),
			authenticator: firstOf(),
			routes: ticketRoutes({
				node: attic.nodeId,
				clock: systemClock,
				random: systemRandom,
				audit: new AuditLog(tables.db as never, systemClock, silentLogger),
				verify: (ticket) => verifyTicket(ticket, [attic.ticketKey], link.revocations, systemClock.now(), attic.nodeId),
				enrol: async (payload, name) => {
					const id = `local-${devices.size}`;
					devices.add(id);
					await enrolled.add(payload, id);
					return { device: { id, name }, token: "wd_token" };
				},
				withdraw: (ticketId) => enrolled.end([ticketId], async (id) => void devices.delete(id)),
			}),
		});
		const call = async (path: string, body?: unknown) => {
			const response = await fetch(`http://localhost:${node.port}${path}`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
			return { status: response.status, body: (await response.json()) as any };
		};
		const enrol = async (more: object = {}, prover = device) => {
			const { body: asked } = await call("/api/devices/nonce");
			return call("/api/devices/ticket", {
				ticket: issued.ticket,
				nonce: asked.nonce,
				proof: prover.prove(asked.nonce, asked.audience, asked.path),
				publicKey: prover.key,
				name: "Phone",
				...more,
			});
		};

		// The hub is gone from here on: the node decides alone.
		await link.close();
		const good = await enrol();
		expect([good.status, good.body.token]).toEqual([201, "wd_token"]);
		const thief = new Device();
		expect((await enrol({}, thief)).body.message).toContain("another device's key");
		expect((await enrol({ publicKey: device.key }, thief)).body.message).toContain("proof");
		const { body: asked } = await call("/api/devices/nonce");
		const proof = device.prove(asked.nonce, asked.audience, asked.path);
		const once = { ticket: issued.ticket, nonce: asked.nonce, proof, publicKey: device.key, name: "Phone" };
		expect((await call("/api/devices/ticket", once)).status).toBe(201);
		expect((await call("/api/devices/ticket", once)).body.message).toContain("nonce");

		// Back for a moment: the phone is signed out at the hub, and the node hears of it.
		const me = (await hub.call("GET", "/me", undefined, bearer(phone))).body.deviceId;
		await hub.call("DELETE", `/me/devices/${me}`, undefined, bearer(owner));
		link = HubLink.open(deps, options);
		const ended = new Promise<void>((resolve) => {
			link.onRevoked((ids) => void enrolled.end(ids, async (id) => void devices.delete(id)).then(resolve));
		});
		// Who there is comes on another way than who was signed out.
		const named = new Promise<void>((resolve) => {
			const look = () => link.machines().length > 0 && resolve();
			link.onMachines(look);
			look();
		});
		await Promise.all([ended, named]);
		expect(devices.size).toBe(0);
		await link.close();

		// Gone for good, and the node restarted: what it heard is on its disk.
		await hub[Symbol.asyncDispose]();
		link = HubLink.open(deps, options);
		const refused = await enrol();
		expect([refused.status, refused.body.error, refused.body.message]).toEqual([
			401,
			"bad_ticket",
			"This ticket was revoked.",
		]);
		expect(link.machines().map((machine) => machine.name)).toEqual(["attic"]);
		await link.close();
		rmSync(options.file);
		await node.close();
		await tables.close();
	});
}
