import { generateKeyPairSync, sign } from "node:crypto";
import { type AuditEvent, firstOf, silentLogger, systemRandom } from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { type DeviceKey, proofMessage, thumbprint } from "./device-key.ts";
import type { TicketPayload } from "./ticket.ts";
import { nonceLimits, ticketRoutes } from "./ticket-routes.ts";

const ticketOf = (deviceKey: string) => ({ ticketId: "t1", deviceId: "d1", userId: "u1", deviceKey }) as TicketPayload;

/** A node's listener with these routes, and requests to it. */
async function openNode(deps: Partial<Parameters<typeof ticketRoutes>[0]>, clock = new VirtualClock()) {
	const node = await Listener.open(
		{ clock, logger: silentLogger },
		{
			role: "node",
			host: "127.0.0.1",
			port: 0,
			tls: null,
			hosts: new HostTable(["localhost"]),
			authenticator: firstOf(),
			routes: ticketRoutes({
				node: "attic00000",
				clock,
				random: systemRandom,
				audit: { record: () => {}, list: async () => [] },
				verify: () => ({ ok: false, reason: "malformed", message: "This is no device ticket." }),
				enrol: () => Promise.reject(new Error("nobody enrols here")),
				withdraw: () => Promise.reject(new Error("nobody enrolled here")),
				...deps,
			}),
		},
	);
	const post = async (path: string, body?: object) => {
		const response = await fetch(`http://localhost:${node.port}${path}`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		return { status: response.status, body: await response.json() };
	};
	return { post, close: () => node.close() };
}

it("a ticket that is revoked while its device is enrolled leaves no device behind", async () => {
	const { publicKey, privateKey } = generateKeyPairSync("ed25519");
	const { kty, crv, x } = publicKey.export({ format: "jwk" });
	const key = { kty, crv, x } as DeviceKey;
	const did: string[] = [];
	let revoked = false;
	const node = await openNode({
		verify: () =>
			revoked
				? { ok: false, reason: "revoked", message: "This device was signed out." }
				: { ok: true, payload: ticketOf(thumbprint(key)) },
		enrol: async (payload) => {
			did.push(`enrol ${payload.ticketId}`);
			revoked = true;
			return { token: "wd_x" };
		},
		withdraw: async (ticketId) => void did.push(`withdraw ${ticketId}`),
	});
	try {
		const { nonce, audience, path } = (await node.post("/api/devices/nonce")).body;
		const proof = sign(null, Buffer.from(proofMessage(nonce, audience, path)), privateKey).toString("base64url");
		const answer = await node.post(path, { ticket: "wt_x", nonce, proof, publicKey: key, name: "Phone" });
		expect([answer.status, answer.body.error, answer.body.token]).toEqual([401, "bad_ticket", undefined]);
		expect(did).toEqual(["enrol t1", "withdraw t1"]);
	} finally {
		await node.close();
	}
});

it("tickets that are refused are written down up to a limit of their address, and not beyond", async () => {
	const events: AuditEvent[] = [];
	const clock = new VirtualClock();
	const node = await openNode({ audit: { record: (event) => void events.push(event), list: async () => [] } }, clock);
	const publicKey = { kty: "OKP", crv: "Ed25519", x: "A".repeat(43) };
	const body = { ticket: "wt_x", nonce: "none", proof: "none", publicKey, name: "Phone" };
	const refused = async () => (await node.post("/api/devices/ticket", body)).status;
	const nonce = async () => (await node.post("/api/devices/nonce")).status;
	try {
		for (let tries = 0; tries < nonceLimits.perAddress.burst; tries++) expect(await refused()).toBe(401);
		expect(await Promise.all([refused(), refused(), nonce()])).toEqual([429, 429, 429]);
		expect(events.length).toBe(nonceLimits.perAddress.burst);
		await clock.advance(1000 / nonceLimits.perAddress.perSecond);
		expect([await refused(), await refused()]).toEqual([401, 429]);
		expect(events.length).toBe(nonceLimits.perAddress.burst + 1);
	} finally {
		await node.close();
	}
});
