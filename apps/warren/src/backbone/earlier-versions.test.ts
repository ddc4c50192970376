import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { RawClient, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { parseBackboneConfig } from "../config/backbone-config.ts";
import { openBackboneRole } from "./backbone-role.ts";

/** Data outlives versions: what an earlier backbone left opens, and nothing in it is missing. */
const testdata = join(import.meta.dirname, "../../testdata");
const prefix = "backbone-v";
const versions = readdirSync(testdata).filter((name) => name.startsWith(prefix));
const adminToken = "an-administrator-of-tests";

interface Expected {
	readonly serviceToken: string;
	readonly principal: string;
	readonly credential: string;
	readonly oldCredential: string;
	readonly domain: string;
	readonly kid: string;
}

describe("data folders of earlier backbones", () => {
	it("are kept", () => expect(versions).toContain(`${prefix}0.1.0`));

	it.each(versions)("%s opens, with its services, tokens, principals, grants and keys", async (version) => {
		using home = tempFolder("earlier-backbone");
		const data = home.file("data");
		cpSync(join(testdata, version), data, { recursive: true });
		const expected = JSON.parse(readFileSync(join(data, "expected.json"), "utf8")) as Expected;
		const open = () =>
			openBackboneRole(
				{ clock: systemClock, random: systemRandom, logger: silentLogger },
				parseBackboneConfig({ data, http: true, port: "0", streamPorts: "0-0" }, { BACKBONE_ADMIN_TOKEN: adminToken }),
			);
		const role = await open();
		try {
			const { port } = role.ready;
			const api = async (path: string): Promise<any> =>
				(await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${adminToken}` } })).json();
			const { services } = await api("/admin/api/services");
			expect(services).toMatchObject([
				{ service: "rpc", kind: "h2" },
				{ service: "web", kind: "http", domains: [expected.domain], settings: { require_identity: true } },
			]);
			expect((await api(`/admin/api/grants/${expected.principal}`)).grants).toMatchObject([{ service: "web" }]);
			// The principal's key is derived: the same master secret gives the same one, and only the newest version of it.
			const ask = (credential: string) =>
				RawClient.exchange(
					{ port },
					`GET / HTTP/1.1\r\nHost: ${expected.domain}\r\nConnection: close\r\nx-backbone-principal: ${credential}\r\n\r\n`,
				);
			// It is known, and nobody serves.
			expect(await ask(expected.credential)).toMatch(/^HTTP\/1\.1 503 /);
			expect(await ask(expected.oldCredential)).toMatch(/^HTTP\/1\.1 401 /);
			expect(await RawClient.exchange({ port }, tunnelRequest(expected.serviceToken))).toMatch(/^HTTP\/1\.1 400 /);
			expect(await RawClient.exchange({ port }, tunnelRequest("mosb_web_guess"))).toMatch(/^HTTP\/1\.1 401 /);
			const { keys } = await api("/.well-known/jwks.json");
			expect(keys.map(({ kid }: { kid: string }) => kid)).toContain(expected.kid);
		} finally {
			await role.close();
		}
		// And once more: what this version wrote, it reads.
		await (await open()).close();
	});
});

/** An agent that does not say which one it is: 400 once its token was good. */
function tunnelRequest(token: string): string {
	return `GET /tunnel HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nAuthorization: Bearer ${token}\r\n\r\n`;
}
