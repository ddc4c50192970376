import { type AuditEvent, firstOf, silentLogger, systemRandom } from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { nonceLimits, ticketRoutes } from "./ticket-routes.ts";

it("tickets that are refused are written down up to a limit of their address, and not beyond", async () => {
	const events: AuditEvent[] = [];
	const clock = new VirtualClock();
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
				audit: { record: (event) => void events.push(event), list: async () => [] },
				verify: () => ({ ok: false, reason: "malformed", message: "This is no device ticket." }),
				enrol: () => Promise.reject(new Error("nobody enrols here")),
			}),
		},
	);
	const post = async (path: string, body?: object) => {
		const response = await fetch(`http://localhost:${node.port}${path}`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		return response.status;
	};
	const publicKey = { kty: "OKP", crv: "Ed25519", x: "A".repeat(43) };
	const refused = () =>
		post("/api/devices/ticket", { ticket: "wt_x", nonce: "none", proof: "none", publicKey, name: "Phone" });
	try {
		for (let tries = 0; tries < nonceLimits.perAddress.burst; tries++) expect(await refused()).toBe(401);
		expect(await Promise.all([refused(), refused(), post("/api/devices/nonce")])).toEqual([429, 429, 429]);
		expect(events.length).toBe(nonceLimits.perAddress.burst);
		await clock.advance(1000 / nonceLimits.perAddress.perSecond);
		expect([await refused(), await refused()]).toEqual([401, 429]);
		expect(events.length).toBe(nonceLimits.perAddress.burst + 1);
	} finally {
		await node.close();
	}
});
