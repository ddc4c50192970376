import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { DataFolder } from "./data-folder.ts";

const mode = (path: string) => statSync(path).mode & 0o777;
/** Above every possible process. */
const noProcess = 2 ** 30;

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
		mkdirSync(folder.file("state"));
		writeFileSync(folder.file("state/lock"), `${process.ppid}\n`);
		expect(() => DataFolder.open(folder.file("state"))).toThrow(
			expect.objectContaining({ code: "data_in_use", message: expect.stringContaining(`process ${process.ppid}`) }),
		);
	});

	it("takes over the lock of a process that was killed, and leaves none behind", () => {
		using folder = tempFolder("data");
		mkdirSync(folder.file("state"));
		writeFileSync(folder.file("state/lock"), `${noProcess}\n`);
		const data = DataFolder.open(folder.file("state"));
		expect(readFileSync(folder.file("state/lock"), "utf8")).toBe(`${process.pid}\n`);
		data.close();
		expect(existsSync(folder.file("state/lock"))).toBe(false);
	});

	it("that cannot be a folder is refused with its path", () => {
		using folder = tempFolder("data");
		writeFileSync(folder.file("state"), "a file");
		expect(() => DataFolder.open(folder.file("state"))).toThrow(
			expect.objectContaining({ code: "data_unusable", message: expect.stringContaining(folder.file("state")) }),
		);
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
