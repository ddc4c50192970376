import type { z } from "zod";
import { defineErrors, type WarrenError } from "./errors.ts";

const fail = defineErrors({ bad_config: { status: 500 }, bad_request: { status: 400 } });

/**
 * Parses a role's configuration, once, at the start.
 * @throws WarrenError `bad_config`, one line a problem: which setting, what it was, what it must be.
 */
export function parseConfig<S extends z.ZodType>(schema: S, input: unknown, role: string): z.infer<S> {
	const parsed = schema.safeParse(input);
	if (parsed.success) return parsed.data;
	throw fail("bad_config", `${role}: the configuration is not usable: ${problems(parsed.error, input)}`, {
		fix: `Correct it and start again; "warren ${role} --help" lists the settings.`,
	});
}

/**
 * Parses a request's body or query.
 * @throws WarrenError `bad_request`, 400.
 */
export function parseRequest<S extends z.ZodType>(schema: S, input: unknown): z.infer<S> {
	const parsed = schema.safeParse(input);
	if (parsed.success) return parsed.data;
	throw badRequest(problems(parsed.error, input));
}

export function badRequest(message: string, fix = ""): WarrenError {
	return fail("bad_request", message, { fix });
}

const maxShownValueLength = 80;

function problems(error: z.ZodError, input: unknown): string {
	return error.issues
		.slice(0, 5)
		.map((issue) => {
			const path = issue.path.join(".");
			const value = issue.path.reduce<unknown>(
				(at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
				input,
			);
			const secret = /pin|secret|setup|token|password|key/i.test(path);
			const shown =
				value === undefined || secret || typeof value === "object"
					? ""
					: ` (was ${JSON.stringify(value)?.slice(0, maxShownValueLength)})`;
			return `${path === "" ? "the body" : path}: ${issue.message}${shown}`;
		})
		.join("; ");
}
