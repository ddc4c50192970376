import { describe, expect, it } from "vitest";
import { z } from "zod";
import { parseConfig, parseRequest } from "./config.ts";
import type { WarrenError } from "./errors.ts";
import { Lifetime } from "./lifetime.ts";

const schema = z.object({
	port: z.int().max(65535).default(5151),
	pin: z.string().min(6).optional(),
	tls: z.object({ key: z.string().max(4) }).optional(),
});
const refused = (input: unknown): WarrenError => {
	try {
		parseConfig(schema, input, "node");
	} catch (thrown) {
		return thrown as WarrenError;
	}
	throw new Error("it was taken");
};

describe("parseConfig", () => {
	it("names the setting, the value and the rule, and where to look", () => {
		const error = refused({ port: 70_000 });
		expect(error.code).toBe("bad_config");
		expect(error.message).toMatch(/^node: the configuration is not usable: port: .*65535.*\(was 70000\)$/);
		expect(error.fix).toContain("warren node --help");
	});

	it("never shows a secret, however it is wrong", () => {
		expect(refused({ pin: "abc12" }).message).not.toContain("abc12");
		expect(refused({ tls: { key: "BEGIN KEY" } }).message).not.toContain("BEGIN");
	});

	it("lists several problems, bounded in number and length", () => {
		const error = refused({ port: "x".repeat(10_000), pin: 7, tls: [] });
		expect(error.message.split("; ").length).toBe(3);
		expect(error.message.length).toBeLessThan(600);
		expect(refused(null).message).toContain("the body");
	});
});

describe("parseRequest", () => {
	it("is a 400 with the same facts", () => {
		expect(() => parseRequest(schema, { port: -0.5 })).toThrow(
			expect.objectContaining({ code: "bad_request", status: 400, message: expect.stringContaining("-0.5") }),
		);
		expect(parseRequest(schema, {})).toEqual({ port: 5151 });
	});
});

describe("Lifetime", () => {
	it("closes last first, all of them, once, and reports what did not close", async () => {
		const order: string[] = [];
		const lifetime = new Lifetime();
		lifetime.own({ close: () => void order.push("a") });
		lifetime.defer(() => {
			order.push("b");
			throw new Error("stuck");
		});
		lifetime.own({ close: async () => void order.push("c") });
		await expect(lifetime.close()).rejects.toMatchObject({ errors: [new Error("stuck")] });
		await expect(lifetime.close()).rejects.toThrow("did not close");
		expect(order).toEqual(["c", "b", "a"]);
	});
});
