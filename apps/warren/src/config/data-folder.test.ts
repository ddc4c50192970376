import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { DataFolder } from "./data-folder.ts";

const mode = (path: string) => statSync(path).mode & 0o777;

describe("the data folder", () => {
	it("is made for its owner alone, and so is what is written into it", () => {
		using folder = tempFolder("data");
		const data = DataFolder.open(folder.file("state"));
		data.write("secret", "ca", "ca.key");
		expect([mode(data.path), mode(join(data.path, "ca")), mode(join(data.path, "ca/ca.key"))]).toEqual([
			0o700, 0o700, 0o600,
		]);
		expect(data.read("ca", "ca.key")).toBe("secret");
		expect(data.read("nothing")).toBeNull();
		data.close();
	});

	it("serves one process at a time, and says which one", () => {
		using folder = tempFolder("data");
		const data = DataFolder.open(folder.file("state"));
		expect(() => DataFolder.open(folder.file("state"))).toThrow(
			expect.objectContaining({ code: "data_in_use", message: expect.stringContaining(`process ${process.pid}`) }),
		);
		data.close();
		data.close();
		DataFolder.open(folder.file("state")).close();
	});

	it("is free again however its process ended, also when its number has gone to another program", () => {
		using folder = tempFolder("data");
		const hold = `const lock = new (require("node:sqlite").DatabaseSync)(${JSON.stringify(folder.file("lock"))});
			lock.exec("BEGIN EXCLUSIVE"); require("node:fs").writeFileSync(${JSON.stringify(folder.file("lock.pid"))}, "${process.ppid}\\n");
			process.kill(process.pid, "SIGKILL")`;
		expect(spawnSync(process.execPath, ["-e", hold]).signal).toBe("SIGKILL");
		const data = DataFolder.open(folder.path);
		expect(readFileSync(folder.file("lock.pid"), "utf8")).toBe(`${process.pid}\n`);
		data.close();
	});

	it("closes no folder that others use, at no start", () => {
		using folder = tempFolder("data");
		const shared = folder.file("shared");
		mkdirSync(shared);
		chmodSync(shared, 0o755);
		writeFileSync(join(shared, "of-somebody"), "");
		for (let start = 0; start < 2; start++) {
			DataFolder.open(shared).close();
			expect(statSync(shared).mode & 0o777).toBe(0o755);
		}
		const empty = folder.file("empty");
		mkdirSync(empty);
		chmodSync(empty, 0o755);
		DataFolder.open(empty).close();
		expect(statSync(empty).mode & 0o777).toBe(0o700);
	});

	it("that cannot be a folder is refused with its path", () => {
		using folder = tempFolder("data");
		writeFileSync(folder.file("state"), "a file", { mode: 0o640 });
		const message = `The data folder ${folder.file("state")} cannot be used: it is a file.`;
		expect(() => DataFolder.open(folder.file("state"))).toThrow(
			expect.objectContaining({ code: "data_unusable", message }),
		);
		expect(statSync(folder.file("state")).mode & 0o777, "somebody else's file is left as it was").toBe(0o640);
	});

	it("replaces a file whole: what was there before stays until the new one is on disk", () => {
		using folder = tempFolder("data");
		const data = DataFolder.open(folder.path);
		data.write("one", "a");
		data.write("two", "a");
		expect(data.read("a")).toBe("two");
		expect(existsSync(folder.file("a.new"))).toBe(false);
		data.close();
	});
});
