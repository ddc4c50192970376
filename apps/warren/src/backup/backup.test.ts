import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { startNode, tempFolder } from "@warren/testkit";
import { create } from "tar";
import { describe, expect, it } from "vitest";
import { backUp } from "./backup.ts";
import { restore } from "./restore.ts";

const keep = { replace: false, now: 0 };

describe("a backup", () => {
	it("of a running machine is the machine: its certificate, its devices, its user", async () => {
		using folder = tempFolder("backup");
		const file = `${folder.path}/warren.tar.gz`;
		await using node = await startNode({ command: ["up"], env: { WARREN_SIDECAR_PORT: "0" } });
		const made = await node.fetch("/api/devices", {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ name: "phone" }),
		});
		const { token } = (await made.json()) as { token: string };
		const { files } = await backUp(node.data, file, keep);
		expect(files.map((each) => each.path)).toEqual(
			expect.arrayContaining(["ca/ca.key", "hub.db", "node.db", "tls/node.key"]),
		);
		expect(files.map((each) => each.path).filter((path) => /^lock|console\.json|\.sock|-wal|logs/.test(path))).toEqual(
			[],
		);
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(readdirSync(folder.path)).toEqual(["warren.tar.gz"]);
		await expect(backUp(node.data, file, keep)).rejects.toMatchObject({ code: "file_exists" });
		await expect(restore(file, node.data, { replace: true, now: 0 })).rejects.toMatchObject({ code: "data_in_use" });
		await node.stop();

		using home = tempFolder("restored");
		await restore(file, `${home.path}/data`, keep);
		await using again = await startNode({
			command: ["up"],
			home: home.path,
			port: node.port,
			env: { WARREN_SIDECAR_PORT: "0" },
		});
		expect(again.fingerprint).toBe(node.fingerprint);
		expect((await again.fetch("/api/me", { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
	});

	it("replaces a folder only when told to, and keeps the former one beside it", async () => {
		using folder = tempFolder("backup");
		const { file, data } = installation(folder.path);
		await backUp(data, file, keep);
		writeFileSync(`${data}/hub.secret`, "changed since\n");
		await expect(restore(file, data, keep)).rejects.toMatchObject({ code: "data_exists" });
		const { former } = await restore(file, data, { replace: true, now: 0 });
		expect(readFileSync(`${data}/hub.secret`, "utf8")).toBe("secret\n");
		expect(readFileSync(`${former}/hub.secret`, "utf8")).toBe("changed since\n");
	});

	it("that is cut, damaged or foreign changes nothing", async () => {
		using folder = tempFolder("backup");
		const { file, data } = installation(folder.path);
		await backUp(data, file, keep);
		const whole = readFileSync(file);
		for (const damage of [
			() => truncateSync(file, whole.length - 40),
			() => truncateSync(file, 0),
			() => writeFileSync(file, "not an archive"),
		]) {
			writeFileSync(file, whole);
			damage();
			await expect(restore(file, `${folder.path}/other`, keep)).rejects.toMatchObject({ code: "bad_backup" });
			expect(existsSync(`${folder.path}/other`)).toBe(false);
		}
		expect(readdirSync(folder.path).filter((name) => name.includes("restoring"))).toEqual([]);
	});

	it("whose list leaves the folder is refused", async () => {
		using folder = tempFolder("backup");
		const files = [{ path: "../outside", bytes: 0, sha256: "0".repeat(64) }];
		writeFileSync(
			`${folder.path}/manifest.json`,
			JSON.stringify({ format: 1, version: "0", createdAt: 0, host: "h", files }),
		);
		const file = `${folder.path}/evil.tar.gz`;
		await create({ cwd: folder.path, file, gzip: true }, ["manifest.json"]);
		await expect(restore(file, `${folder.path}/data`, keep)).rejects.toMatchObject({ code: "bad_backup" });
	});

	it("of a folder that is no installation says so", async () => {
		using folder = tempFolder("backup");
		await expect(backUp(folder.path, `${folder.path}/x`, keep)).rejects.toMatchObject({ code: "no_data" });
	});
});

/** The least that counts as an installation. */
function installation(folder: string): { file: string; data: string } {
	const data = `${folder}/data`;
	mkdirSync(data);
	const opened = new DatabaseSync(`${data}/node.db`);
	opened.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
	opened.close();
	writeFileSync(`${data}/hub.secret`, "secret\n");
	return { file: `${folder}/warren.tar.gz`, data };
}
