import type { z } from "zod";
import { defineErrors, type WarrenError } from "./errors.ts";
import { ruleWords } from "./rule-words.ts";

const fail = defineErrors({ bad_config: { status: 500 }, bad_request: { status: 400 } });

/**
 * Parses a role's configuration, once, at the start.
 * @param nameOf under which name a field was set: its flag, its variable.
 * @throws WarrenError `bad_config`, one line a problem: which setting, what it was, what it must be.
 */
export function parseConfig<S extends z.ZodType>(
	schema: S,
	input: unknown,
	role: string,
	nameOf: (field: string) => string = (field) => field,
): z.infer<S> {
	const parsed = schema.safeParse(input, { error: ruleWords });
	if (parsed.success) return parsed.data;
	throw fail("bad_config", `${role}: the configuration is not usable: ${problems(parsed.error, input, nameOf)}`, {
		fix: `Correct it and start again; "warren ${role} --help" lists the settings.`,
	});
}

/**
 * Parses a request's body or query.
 * @throws WarrenError `bad_request`, 400.
 */
export function parseRequest<S extends z.ZodType>(schema: S, input: unknown): z.infer<S> {
	const parsed = schema.safeParse(input, { error: ruleWords });
	if (parsed.success) return parsed.data;
	throw badRequest(problems(parsed.error, input));
}

export function badRequest(message: string, fix = ""): WarrenError {
	return fail("bad_request", message, { fix });
}

const maxShownValueLength = 80;

function problems(error: z.ZodError, input: unknown, nameOf = (field: string) => field): string {
	return error.issues
		.slice(0, 5)
		.map((issue) => {
			const path = issue.path.join(".");
			const value = issue.path.reduce<unknown>(
				(at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
				input,
			);
			const secret = /pin|secret|setup|token|password|key|invitation|credential/i.test(path);
			const shown =
				value === undefined || secret || typeof value === "object"
					? ""
					: ` (was ${JSON.stringify(value)?.slice(0, maxShownValueLength)})`;
			const [field = "", ...rest] = issue.path.map(String);
			return `${path === "" ? "the body" : [nameOf(field), ...rest].join(".")}: ${issue.message}${shown}`;
		})
		.join("; ");
}
