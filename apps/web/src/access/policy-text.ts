/** A rule as the form shows it: lists as people type them, separated by commas. */
export interface RuleFields {
	readonly action: "accept" | "deny";
	readonly src: string;
	readonly dst: string;
	readonly proto: "" | "tcp" | "udp" | "icmp";
	readonly ports: string;
	/** Empty leaves it to the rule's kind: both ways without ports, from src alone with them. */
	readonly direction: "" | "both" | "forward";
	readonly comment: string;
}

export interface TestFields {
	readonly src: string;
	readonly proto: "tcp" | "udp" | "icmp";
	readonly accept: string;
	readonly deny: string;
}

type Json = Record<string, unknown>;

export interface PolicyDraft {
	readonly rules: readonly RuleFields[];
	readonly tests: readonly TestFields[];
	/** What the form does not show, kept as it is. */
	readonly rest: Json;
}

export const emptyRule: RuleFields = {
	action: "accept",
	src: "",
	dst: "",
	proto: "",
	ports: "",
	direction: "",
	comment: "",
};
export const emptyTest: TestFields = { src: "", proto: "tcp", accept: "", deny: "" };

/** @returns null where the text is not what a form can show: then the source alone is edited. */
export function readDraft(text: string): PolicyDraft | null {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		// The coordinator says what is wrong with it, and where.
		return null;
	}
	if (!isObject(value) || !isListOfObjects(value.acls) || !(value.tests === undefined || isListOfObjects(value.tests)))
		return null;
	const { acls, tests = [], ...rest } = value as Json & { acls: Json[]; tests?: Json[] };
	return {
		rest,
		rules: acls.map((rule) => ({
			action: rule.action === "deny" ? "deny" : "accept",
			src: listText(rule.src),
			dst: listText(rule.dst),
			proto: oneOf(rule.proto, ["tcp", "udp", "icmp"]),
			ports: listText(rule.ports),
			direction: oneOf(rule.direction, ["both", "forward"]),
			comment: typeof rule.comment === "string" ? rule.comment : "",
		})),
		tests: tests.map((test) => ({
			src: listText(test.src),
			proto: oneOf(test.proto, ["udp", "icmp"]) || "tcp",
			accept: listText(test.accept),
			deny: listText(test.deny),
		})),
	};
}

/** One rule a line, so that lines stay what an error names. */
export function writeDraft({ rules, tests, rest }: PolicyDraft): string {
	const acls = rules.map((rule) => ({
		action: rule.action,
		src: listOf(rule.src),
		dst: listOf(rule.dst),
		...(rule.proto === "" ? {} : { proto: rule.proto }),
		...(rule.ports.trim() === "" ? {} : { ports: listOf(rule.ports).map(portOf) }),
		...(rule.direction === "" ? {} : { direction: rule.direction }),
		...(rule.comment.trim() === "" ? {} : { comment: rule.comment.trim() }),
	}));
	const checks = tests.map((test) => ({
		src: oneOrMany(listOf(test.src)),
		...(test.proto === "tcp" ? {} : { proto: test.proto }),
		...(test.accept.trim() === "" ? {} : { accept: listOf(test.accept) }),
		...(test.deny.trim() === "" ? {} : { deny: listOf(test.deny) }),
	}));
	const parts = [
		`\t"acls": ${lines(acls)}`,
		...(checks.length === 0 ? [] : [`\t"tests": ${lines(checks)}`]),
		...Object.entries(rest).map(([key, value]) => `\t${JSON.stringify(key)}: ${JSON.stringify(value)}`),
	];
	return `{\n${parts.join(",\n")}\n}\n`;
}

/** Where the coordinator's word about a policy points: lines, from 1. */
export function linesIn(message: string): number[] {
	return [...new Set([...message.matchAll(/\bline (\d+)/g)].map((match) => Number(match[1])))];
}

/** Tags that a policy speaks of, for suggestions. */
export function tagsIn(draft: PolicyDraft): string[] {
	const all = draft.rules.flatMap(({ src, dst }) => [...listOf(src), ...listOf(dst)]);
	return [...new Set(all.filter((each) => each.startsWith("tag:")))].sort();
}

function lines(list: readonly object[]): string {
	return list.length === 0 ? "[]" : `[\n${list.map((each) => `\t\t${JSON.stringify(each)}`).join(",\n")}\n\t]`;
}

const listOf = (text: string) =>
	text
		.split(",")
		.map((each) => each.trim())
		.filter(Boolean);
const oneOrMany = (list: string[]) => (list.length === 1 ? list[0] : list);
const portOf = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);
const listText = (value: unknown) =>
	Array.isArray(value) ? value.map(String).join(", ") : typeof value === "string" ? value : "";
const isObject = (value: unknown): value is Json =>
	typeof value === "object" && value !== null && !Array.isArray(value);
const isListOfObjects = (value: unknown): value is Json[] => Array.isArray(value) && value.every(isObject);

function oneOf<const T extends string>(value: unknown, allowed: readonly T[]): T | "" {
	return allowed.find((each) => each === value) ?? "";
}
