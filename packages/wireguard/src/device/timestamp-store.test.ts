import { readFileSync, statSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { Timestamps } from "../protocol/timestamps.ts";
import { TimestampStore } from "./timestamp-store.ts";

const now = Date.UTC(2026, 10, 21);
const year = 365 * 86_400_000;

describe("stamps on disk", () => {
	it("H6 rise over every start, whatever the clock did meanwhile, and however the process ended", () => {
		using folder = tempFolder("stamps");
		const store = new TimestampStore(folder.file("device.state"));
		const stamps: string[] = [];
		const start = () => new Timestamps(store.read(), (until) => store.write(until));
		const use = (timestamps: Timestamps, ...walls: readonly number[]) => {
			for (const wall of walls) stamps.push(Buffer.from(timestamps.next(wall)).toString("hex"));
		};
		use(start(), now, now + 5000);
		// Killed; then a clock that is a year ahead, set right while it runs; killed again.
		use(start(), now + year, now + year + 30_000, now, now + 1);
		// A clock a year back, and a clean end.
		const last = start();
		use(last, now - year, now - year + 90_000);
		store.write(last.last);
		use(start(), now, now + 2 * year);
		expect(stamps.toSorted()).toEqual(stamps);
		expect(new Set(stamps).size).toBe(10);
	});

	it("H6 are written ahead, so that few of them cost a write, and for their owner alone", () => {
		using folder = tempFolder("stamps");
		const path = folder.file("device.state");
		const store = new TimestampStore(path);
		let writes = 0;
		const timestamps = new Timestamps(store.read(), (until) => {
			writes += 1;
			store.write(until);
		});
		for (let at = 0; at < 60_000; at += 1000) timestamps.next(now + at);
		expect(writes).toBe(1);
		timestamps.next(now + 61_000);
		expect(writes).toBe(2);
		expect(statSync(path).mode & 0o777).toBe(0o600);
	});

	it("that cannot be read are no reason to begin at zero", () => {
		using folder = tempFolder("stamps");
		const path = folder.file("device.state");
		writeFileSync(path, "tai64n-floor 12");
		expect(() => new TimestampStore(path).read()).toThrow(expect.objectContaining({ code: "bad_timestamp_file" }));
		expect(readFileSync(path, "utf8")).toBe("tai64n-floor 12");
	});
});
