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
	it("says in words what each value must be", () => {
		const body = z.strictObject({
			name: z.string().min(1).max(5),
			tags: z.array(z.string()).max(2),
			size: z.enum(["small", "large"]),
			count: z.coerce.number().pipe(z.int().min(1)),
		});
		const said = (input: object) => {
			try {
				return parseRequest(body, { name: "a", tags: [], size: "small", count: 1, ...input });
			} catch (refused) {
				return (refused as WarrenError).message;
			}
		};
		expect(said({ name: undefined })).toBe("name: is missing; it must be text");
		expect(said({ name: 7 })).toBe("name: must be text (was 7)");
		expect(said({ name: "" })).toBe('name: must have at least 1 character (was "")');
		expect(said({ name: "abcdef" })).toBe('name: must have at most 5 characters (was "abcdef")');
		expect(said({ tags: ["a", "b", "c"] })).toBe("tags: must have at most 2 items");
		expect(said({ size: "huge" })).toBe('size: must be "small" or "large" (was "huge")');
		expect(said({ count: "many" })).toBe('count: must be a number (was "many")');
		expect(said({ count: "1.5" })).toBe('count: must be a whole number (was "1.5")');
		expect(said({ count: 0 })).toBe("count: must be at least 1 (was 0)");
		expect(said({ colour: "red" })).toBe('the body: has what is not known here: "colour"');
	});

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
