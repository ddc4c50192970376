import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { silentLogger } from "@warren/kernel";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { parseJoinerConfig, rememberSettings } from "./joiner-config.ts";

describe("how a machine joined", () => {
	it("is known to the next command without a flag, and without the token", () => {
		using folder = tempFolder("joiner-config");
		const data = folder.file("data");
		const flags = { data, coordinator: ["http://127.0.0.1:8888"], insecure: true, joinToken: "secret", name: "atlas" };
		const allowed = { WARREN_ALLOW_INSECURE: "1" };
		rememberSettings(parseJoinerConfig(flags, allowed), silentLogger);
		const later = parseJoinerConfig({ data }, allowed);
		expect([later.coordinator, later.name, later.joinToken]).toEqual([["http://127.0.0.1:8888"], "atlas", undefined]);
	});

	it("stays as it was where it cannot be written, and ends nothing", () => {
		using folder = tempFolder("joiner-config");
		const data = folder.file("data");
		const allowed = { WARREN_ALLOW_INSECURE: "1" };
		const config = parseJoinerConfig({ data, coordinator: ["http://127.0.0.1:1"], insecure: true }, allowed);
		rememberSettings(config, silentLogger);
		const file = `${config.folder}/join.json`;
		const before = readFileSync(file, "utf8");
		// A folder in the way refuses as a full disk does, also to root.
		mkdirSync(`${file}.new`);
		const warnings: string[] = [];
		const logger = { ...silentLogger, warn: (text: string) => void warnings.push(text) };
		rememberSettings({ ...config, coordinator: ["http://127.0.0.1:2"] }, logger);
		expect([readFileSync(file, "utf8"), warnings]).toEqual([before, [expect.stringMatching(/cannot be kept/)]]);
		rmdirSync(`${file}.new`);
		rememberSettings({ ...config, coordinator: ["http://127.0.0.1:2"] }, logger);
		expect(parseJoinerConfig({ data }, allowed).coordinator).toEqual(["http://127.0.0.1:2"]);
	});
});
