import { generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type DeviceKey, proofMessage, thumbprint, verifyProof } from "./device-key.ts";
import { openRevocations, sealRevocations } from "./revocation-list.ts";
import { TicketSigner, ticketSkewMs, verifyTicket } from "./ticket.ts";

const signer = new TicketSigner("a secret that is long enough for tests");
const now = Date.UTC(2026, 0, 1);
const day = 24 * 3600 * 1000;
const said = {
	ticketId: "t1",
	userId: "u1",
	deviceId: "d1",
	node: "node1",
	deviceKey: "k".repeat(43),
	iat: now,
	exp: now + 7 * day,
};
const none = new Set<string>();
const judge = (
	ticket: string,
	more: { keys?: (typeof signer.key)[]; revoked?: Set<string>; at?: number; node?: string } = {},
) => {
	const verdict = verifyTicket(
		ticket,
		more.keys ?? [signer.key],
		more.revoked ?? none,
		more.at ?? now,
		more.node ?? "node1",
	);
	return verdict.ok ? "ok" : verdict.reason;
};

describe("a device ticket", () => {
	it("is good for its one node until it ends, with no hub to ask", () => {
		const ticket = signer.ticket(said);
		expect(verifyTicket(ticket, [signer.key], none, now, "node1")).toEqual({
			ok: true,
			payload: { v: 1, kid: signer.key.kid, ...said },
		});
		expect(judge(ticket, { node: "node2" })).toBe("other-node");
		expect(judge(ticket, { at: now + 7 * day - 1 })).toBe("ok");
		expect(judge(ticket, { at: now + 7 * day })).toBe("expired");
		expect(judge(ticket, { revoked: new Set(["t1"]) })).toBe("revoked");
	});

	it("bears clocks that differ by minutes, not a future date", () => {
		expect(judge(signer.ticket({ ...said, iat: now + ticketSkewMs }))).toBe("ok");
		expect(judge(signer.ticket({ ...said, iat: now + ticketSkewMs + 1 }))).toBe("early");
	});

	it("is refused when changed, of another hub, or no ticket at all", () => {
		const ticket = signer.ticket(said);
		const [payload = "", signature = ""] = ticket.slice(3).split(".");
		const other = Buffer.from(
			JSON.stringify({ ...JSON.parse(Buffer.from(payload, "base64url").toString()), node: "node2" }),
		).toString("base64url");
		expect(judge(`wt_${other}.${signature}`, { node: "node2" })).toBe("forged");
		const stranger = new TicketSigner("another secret that is long enough");
		expect(judge(stranger.ticket(said))).toBe("unknown-key");
		expect(judge(stranger.ticket(said), { keys: [{ ...stranger.key, kid: "x" }] })).toBe("unknown-key");
		// Another key under the right name.
		expect(judge(ticket, { keys: [{ ...stranger.key, kid: signer.key.kid }] })).toBe("forged");
		for (const junk of ["", "wt_", "wt_a.b", ticket.slice(3), `${ticket}x`, `wt_${"a".repeat(3000)}`])
			expect([junk.slice(0, 20), judge(junk)]).toEqual([junk.slice(0, 20), "malformed"]);
	});

	it("is no revocation list, and a list is no ticket: what was signed for one passes for nothing else", () => {
		const list = sealRevocations(signer, { seq: 3, tickets: [{ id: "t1", exp: now }] });
		expect(openRevocations(list, [signer.key])).toEqual({ seq: 3, tickets: [{ id: "t1", exp: now }] });
		expect(judge(`wt_${list}`)).toBe("forged");
		expect(openRevocations(signer.ticket(said).slice(3), [signer.key])).toBe(null);
	});
});

describe("the proof of a device's key", () => {
	it("has the thumbprint of RFC 8037's example", () => {
		expect(thumbprint({ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })).toBe(
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		);
	});

	it("fits one nonce, one node and one path, with P-256 and with Ed25519", () => {
		const pairs = [
			[generateKeyPairSync("ec", { namedCurve: "P-256" }), "sha256"],
			[generateKeyPairSync("ed25519"), null],
		] as const;
		for (const [{ publicKey, privateKey }, digest] of pairs) {
			const key = publicKey.export({ format: "jwk" }) as DeviceKey;
			const message = proofMessage("nonce", "node1", "/api/devices/ticket");
			const proof = sign(digest, Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString(
				"base64url",
			);
			expect(verifyProof(key, message, proof)).toBe(true);
			for (const other of [
				proofMessage("nonce2", "node1", "/api/devices/ticket"),
				proofMessage("nonce", "node2", "/api/devices/ticket"),
				proofMessage("nonce", "node1", "/api/devices"),
			])
				expect(verifyProof(key, other, proof)).toBe(false);
			expect(verifyProof(key, message, "")).toBe(false);
		}
	});

	it("is none with a key that is off the curve", () => {
		const zero = "A".repeat(43);
		expect(verifyProof({ kty: "EC", crv: "P-256", x: zero, y: zero }, "m", "A".repeat(86))).toBe(false);
	});
});
