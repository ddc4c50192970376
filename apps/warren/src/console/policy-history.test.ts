import { tempFolder, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { DataFolder } from "../config/data-folder.ts";
import { historyLimits, PolicyHistory } from "./policy-history.ts";

describe("the history of the policy", () => {
	it("keeps who and when, newest first, over a restart, and takes what it knows for no news", async () => {
		using folder = tempFolder("history");
		const clock = new VirtualClock();
		const data = DataFolder.open(folder.path);
		const history = new PolicyHistory(data, clock);
		history.seen('"a"', '{"acls":[]}', null);
		history.seen('"a"', '{"acls":[]}', "device:x");
		await clock.advance(1000);
		history.seen('"b"', '{"acls":[{}]}', "device:x");
		const again = new PolicyHistory(data, clock).list();
		expect(again.map(({ etag, actor }) => [etag, actor])).toEqual([
			['"b"', "device:x"],
			['"a"', null],
		]);
		expect((again[0]?.at ?? 0) - (again[1]?.at ?? 0)).toBe(1000);
		data.close();
	});

	it("is bounded by count and by bytes, and keeps the newest whatever its size", () => {
		using folder = tempFolder("history");
		const data = DataFolder.open(folder.path);
		const history = new PolicyHistory(data, new VirtualClock());
		for (let index = 0; index <= historyLimits.maxVersions; index++) history.seen(`"${index}"`, "x", null);
		expect(history.list()).toHaveLength(historyLimits.maxVersions);
		history.seen('"large"', "y".repeat(historyLimits.maxBytes + 1), null);
		expect(history.list().map(({ etag }) => etag)).toEqual(['"large"']);
		data.close();
	});
});
