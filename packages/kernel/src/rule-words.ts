import type { z } from "zod";

const units: Readonly<Record<string, string>> = { string: "characters", array: "items", set: "items", map: "entries" };
const types: Readonly<Record<string, string>> = {
	string: "text",
	int: "a whole number",
	number: "a number",
	boolean: "true or false",
	array: "a list",
	object: "an object",
	record: "an object",
};

/** What a value must be, to be read behind its name: "port must be at most 65535". What is not here stays the schema's. */
export const ruleWords: z.core.$ZodErrorMap = (issue) => {
	switch (issue.code) {
		case "invalid_type": {
			const expected = types[issue.expected] ?? issue.expected;
			return issue.input === undefined ? `is missing; it must be ${expected}` : `must be ${expected}`;
		}
		case "invalid_value":
			return oneOf(issue.values);
		case "too_big":
			return bound(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum);
		case "too_small":
			return bound(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum);
		case "invalid_union":
			return "options" in issue && Array.isArray(issue.options) ? oneOf(issue.options) : undefined;
		case "unrecognized_keys":
			return `has what is not known here: ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}`;
		default:
			return undefined;
	}
};

function oneOf(values: readonly unknown[]): string {
	return `must be ${values.map((value) => JSON.stringify(value)).join(" or ")}`;
}

function bound(origin: string, how: string, limit: number | bigint): string {
	const unit = units[origin];
	if (unit === undefined) return `must be ${how} ${limit}`;
	return `must have ${how} ${limit} ${limit === 1 ? unit.replace(/ies$/, "y").replace(/s$/, "") : unit}`;
}
