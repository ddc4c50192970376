import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { realKey, TestAi } from "../ai.testing.ts";
import { providers } from "../providers/provider-table.ts";
import { KeyFile } from "./key-file.ts";
import { ProviderKeys, readKeyVariables } from "./provider-keys.ts";

describe("the key file", () => {
	it("is mode 0600, whole or not at all, and read by whoever opens it next", () => {
		using folder = tempFolder("keys");
		const path = folder.file("ai.env");
		const file = new KeyFile(path);
		file.set("OPENAI_API_KEY", "sk-1");
		file.set("GROQ_API_KEY", "gsk-2");
		expect(statSync(path).mode & 0o777).toBe(0o600);
		expect(new KeyFile(path).get("OPENAI_API_KEY")).toBe("sk-1");
		file.set("OPENAI_API_KEY", null);
		expect(readFileSync(path, "utf8")).toBe("GROQ_API_KEY=gsk-2\n");
	});

	it("takes what people write by hand: comments, export, quotes", () => {
		using folder = tempFolder("keys");
		const path = folder.file("ai.env");
		writeFileSync(path, "# mine\nexport OPENAI_API_KEY=\"sk-1\"\nGROQ_API_KEY = 'g'\nnonsense\nXAI_API_KEY=\n");
		const file = new KeyFile(path);
		expect(file.names()).toEqual(["OPENAI_API_KEY", "GROQ_API_KEY"]);
		expect([file.get("OPENAI_API_KEY"), file.get("GROQ_API_KEY")]).toEqual(["sk-1", "g"]);
	});

	it("refuses what is no key, without repeating it", () => {
		using folder = tempFolder("keys");
		const file = new KeyFile(folder.file("ai.env"));
		for (const bad of ["", "two words", "line\nbreak", "é", "x".repeat(4097)]) {
			expect(() => file.set("OPENAI_API_KEY", bad)).toThrow(/printable characters/);
		}
	});

	it("says when it cannot be read", (context) => {
		context.skip(process.getuid?.() === 0, "root reads everything");
		using folder = tempFolder("keys");
		const path = folder.file("ai.env");
		writeFileSync(path, "OPENAI_API_KEY=a\n");
		chmodSync(path, 0o000);
		expect(() => new KeyFile(path).get("OPENAI_API_KEY")).toThrow(/cannot be read/);
	});
});

describe("a provider's key", () => {
	it("is what was set by hand, else the environment's, else no_provider_key with the variable's name", () => {
		using folder = tempFolder("keys");
		const file = new KeyFile(folder.file("ai.env"));
		const keys = new ProviderKeys(file, readKeyVariables({ OPENAI_API_KEY: "sk-env", GEMINI_API_KEY: "g" }));
		expect([keys.get(providers.openai), keys.sourceOf(providers.openai)]).toEqual(["sk-env", "environment"]);
		expect(keys.get(providers.google)).toBe("g");
		file.set("OPENAI_API_KEY", "sk-file");
		expect([keys.get(providers.openai), keys.sourceOf(providers.openai)]).toEqual(["sk-file", "file"]);
		expect(keys.get(providers.ollama)).toBeNull();
		expect(() => keys.get(providers.xai)).toThrow(
			expect.objectContaining({
				code: "no_provider_key",
				status: 401,
				message: expect.stringContaining("XAI_API_KEY"),
			}),
		);
	});

	it("counts from the next request on, and is gone from the next request on", async () => {
		await using hub = await TestAi.open({ noKeys: true });
		const body = { model: "m", messages: [] };
		const ask = () => hub.call("POST", "/proxy/openai/v1/chat/completions", body);
		const refused = await ask();
		expect([refused.status, refused.body.error, refused.body.variable]).toEqual([
			401,
			"no_provider_key",
			"OPENAI_API_KEY",
		]);
		hub.keyFile.set("OPENAI_API_KEY", "sk-new");
		expect((await ask()).status).toBe(200);
		expect(hub.fake.requests[0]?.headers.authorization).toBe("Bearer sk-new");
		hub.keyFile.set("OPENAI_API_KEY", null);
		expect((await ask()).status).toBe(401);
	});

	it("is in no answer of any settings", async () => {
		await using hub = await TestAi.open();
		for (const path of ["/api/settings/ai", "/ai/providers", "/ai/models/openai", "/me/usage", "/ai/usage"]) {
			const { status, body } = await hub.call("GET", path);
			expect([path, status]).toEqual([path, 200]);
			expect(JSON.stringify(body)).not.toContain(realKey);
		}
		const { body } = await hub.call("GET", "/api/settings/ai");
		expect(body.providers.find((each: { id: string }) => each.id === "openai")).toMatchObject({ key: "environment" });
	});
});
