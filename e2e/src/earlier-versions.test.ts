import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startNode, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";

/** Data outlives versions: what an earlier one left opens, and nothing in it is missing. */
const testdata = join(import.meta.dirname, "../../apps/warren/testdata");
const versions = readdirSync(testdata).filter((name) => name.startsWith("v"));

interface Expected {
	readonly deviceToken: string;
	readonly deviceId: string;
	readonly email: string;
	readonly password: string;
	readonly document: string;
	readonly title: string;
	readonly peer: string;
}

describe("data folders of earlier versions", () => {
	it("are kept", () => expect(versions).toContain("v0.1.0"));

	it.each(versions)("%s opens, with its device, peer, account and document", async (version) => {
		using home = tempFolder("earlier");
		cpSync(join(testdata, version), home.file("data"), { recursive: true });
		const expected = JSON.parse(readFileSync(home.file("data/expected.json"), "utf8")) as Expected;
		await using node = await startNode({ command: ["up"], name: "atlas", pin: null, home: home.path });
		// Somebody is signed in already, so there is no setup link.
		expect(node.setupUrl).toBeNull();
		const get = async (path: string, token: string) =>
			(await node.fetch(path, { headers: { authorization: `Bearer ${token}` } })).json();

		expect(await get("/api/devices", expected.deviceToken)).toMatchObject({
			devices: [{ id: expected.deviceId, current: true }],
		});
		expect(await get("/api/peers", expected.deviceToken)).toMatchObject({
			peers: [{ name: expected.peer, source: "manual" }],
		});
		const signedIn = await node.fetch("/auth/login", {
			method: "POST",
			headers: { authorization: "", "content-type": "application/json" },
			body: JSON.stringify({ email: expected.email, password: expected.password }),
		});
		const { token } = (await signedIn.json()) as { token: string };
		expect(await get("/rooms", token)).toMatchObject({ rooms: [{ id: expected.document, title: expected.title }] });
	});
});
