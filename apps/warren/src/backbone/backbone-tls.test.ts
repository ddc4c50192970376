import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type PeerCertificate } from "node:tls";
import { HealthTable, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";
import { parseBackboneConfig } from "../config/backbone-config.ts";
import { openBackboneRole } from "./backbone-role.ts";

it("a name that is given later comes into the certificate, which stays as it is otherwise; one that the CA may not speak for is told", async () => {
	using folder = tempFolder("backbone-tls");
	const data = folder.file("data");
	/** One start: what a client that asks for `servername` is shown, and what is wrong. */
	const start = async (hostname: string[], servername: string) => {
		const health = new HealthTable(systemClock);
		const role = await openBackboneRole(
			{ clock: systemClock, random: systemRandom, logger: silentLogger },
			parseBackboneConfig(
				{ data, host: "127.0.0.1", port: "0", domain: "mos.internal", streamPorts: "0-0", hostname },
				{ BACKBONE_ADMIN_TOKEN: "an-administrator-of-tests" },
			),
			{ health },
		);
		try {
			const ca = readFileSync(folder.file("data/backbone-ca/ca.crt"), "utf8");
			const shown = await shownTo({ port: role.ready.port, servername, ca });
			return { shown, conditions: health.list() };
		} finally {
			await role.close();
		}
	};
	const first = await start([], "mos.internal");
	const named = await start(["box.internal", "192.168.7.7"], "box.internal");
	expect([first, named].map(({ conditions }) => conditions)).toEqual([[], []]);
	expect(typeof first.shown === "string" || typeof named.shown === "string").toBe(false);
	expect(named.shown).toMatchObject({
		subjectaltname: expect.stringMatching(/DNS:box\.internal,.*IP Address:192\.168\.7\.7/),
	});
	const same = await start(["box.internal", "192.168.7.7"], "box.internal");
	expect(same.shown).toMatchObject({ serialNumber: (named.shown as PeerCertificate).serialNumber });
	const foreign = await start(["Box.example.net", "box.internal"], "box.internal");
	expect(foreign.shown).toMatchObject({ serialNumber: (named.shown as PeerCertificate).serialNumber });
	expect(foreign.conditions).toMatchObject([
		{
			code: "name-not-certified",
			title: "The certificate leaves out Box.example.net: the local CA was made without it.",
			advice: expect.stringContaining(folder.file("data/backbone-ca")),
		},
	]);
	expect(new X509Certificate(readFileSync(folder.file("data/backbone/leaf.crt"))).checkHost("box.example.net")).toBe(
		undefined,
	);
});

/** @returns the certificate, or why this client would not go on. */
function shownTo(client: { port: number; servername: string; ca: string }): Promise<string | PeerCertificate> {
	return new Promise((resolve) => {
		const socket = connect({ ...client, host: "127.0.0.1" }, () => {
			resolve(socket.getPeerCertificate());
			socket.destroy();
		});
		socket.on("error", (fault) => resolve(fault.message));
	});
}
