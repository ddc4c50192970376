import { z } from "zod";
import {
	type Access,
	allows,
	coverage,
	isNone,
	minus,
	noAccess,
	type PortRanges,
	type Protocol,
	union,
} from "./access.ts";
import { entryLines } from "./json-lines.ts";

export const policyLimits = { maxBytes: 1024 * 1024, maxRules: 10_000, maxSelectors: 1_000, maxTests: 1_000 } as const;

/** One rule, ready to be asked. */
export interface PolicyRule {
	readonly action: "accept" | "deny";
	readonly src: readonly Selector[];
	readonly dst: readonly Selector[];
	/** `both`: either side may begin. */
	readonly direction: "both" | "forward";
	readonly covers: Access;
	/** Where it begins in the text, from 1. */
	readonly line: number;
	readonly index: number;
}

/** `*`, a tag, or the beginning of one. */
export type Selector =
	| { readonly kind: "any" }
	| { readonly kind: "tag"; readonly tag: string }
	| { readonly kind: "prefix"; readonly prefix: string };

export interface PolicyTest {
	readonly line: number;
	readonly src: readonly string[];
	readonly proto: Protocol;
	readonly accept: readonly PolicyTarget[];
	readonly deny: readonly PolicyTarget[];
}

export interface PolicyTarget {
	readonly text: string;
	readonly tags: readonly string[];
	readonly port: number | null;
}

/** An ordered list of rules: the first that covers a connection decides, none = refused. */
export interface Policy {
	/** As it was written; GET gives it back to the byte. */
	readonly text: string;
	readonly rules: readonly PolicyRule[];
	readonly tests: readonly PolicyTest[];
}

export type PolicyReading =
	| { readonly ok: true; readonly policy: Policy }
	| { readonly ok: false; readonly code: "bad_policy" | "policy_test_failed"; readonly message: string };

/** Letters, digits and `. _ : -`: what a tag may be, here, in a certificate and in a token. */
export const tagPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$/;
const selector = z
	.string()
	.regex(
		/^(\*|tag:[A-Za-z0-9._:-]{0,62}\*|tag:[A-Za-z0-9][A-Za-z0-9._:-]{0,62})$/,
		'must be "*", "tag:NAME" or "tag:BEGINNING*"',
	);
const portRange = z.union([
	z.number().int().min(0).max(65535),
	z.string().regex(/^\d{1,5}(-\d{1,5})?$/, 'must be a port or a range such as "8000-8010"'),
]);
const selectors = z.array(selector).min(1).max(policyLimits.maxSelectors);
const ruleSchema = z.strictObject({
	action: z.enum(["accept", "deny"]),
	src: selectors,
	dst: selectors,
	proto: z.enum(["tcp", "udp", "icmp"]).optional(),
	ports: z.array(portRange).min(1).max(256).optional(),
	direction: z.enum(["both", "forward"]).optional(),
	comment: z.string().max(1000).optional(),
});
const tested = z.string().regex(/^tag:[A-Za-z0-9][A-Za-z0-9._:-]{0,70}$/, 'must be "tag:NAME" or "tag:NAME:PORT"');
const testSchema = z.strictObject({
	src: z.union([tested, z.array(tested).min(1).max(32)]),
	proto: z.enum(["tcp", "udp", "icmp"]).default("tcp"),
	accept: z.array(tested).max(256).default([]),
	deny: z.array(tested).max(256).default([]),
	comment: z.string().max(1000).optional(),
});
const policySchema = z.strictObject({
	acls: z.array(ruleSchema).max(policyLimits.maxRules),
	tests: z.array(testSchema).max(policyLimits.maxTests).default([]),
	comment: z.string().max(10_000).optional(),
});

/** Everything refused, everyone invisible: what a coordinator without a policy has. */
export const defaultDeny = '{"acls":[]}';

/**
 * Reads a policy and runs its own tests: `{"acls":[{action,src,dst,proto?,ports?,direction?}],"tests":[{src,proto?,accept,deny}]}`.
 * A rule without proto and ports lets both sides begin, as in the original; one with them lets src begin alone.
 * Messages name lines.
 */
export function readPolicy(text: string): PolicyReading {
	if (Buffer.byteLength(text) > policyLimits.maxBytes)
		return bad(`The policy has more than ${policyLimits.maxBytes} bytes.`);
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (fault) {
		return bad(`The policy is not valid JSON: ${(fault as Error).message}.`);
	}
	const parsed = policySchema.safeParse(value);
	if (!parsed.success) {
		const lines = (at: readonly PropertyKey[]) => {
			const [list, index] = at;
			if ((list !== "acls" && list !== "tests") || typeof index !== "number") return "";
			return `line ${entryLines(text, list)[index] ?? "?"}, `;
		};
		const problems = parsed.error.issues
			.slice(0, 5)
			.map((each) => `${lines(each.path)}${each.path.join(".")}: ${each.message}`);
		return bad(`The policy has a bad rule: ${problems.join("; ")}.`);
	}
	const ruleLines = entryLines(text, "acls");
	const rules: PolicyRule[] = [];
	for (const [index, rule] of parsed.data.acls.entries()) {
		const ports = rule.ports === undefined ? null : portRanges(rule.ports);
		const line = ruleLines[index] ?? 1;
		if (ports === "bad")
			return bad(`line ${line}, acls.${index}.ports: a range must go upwards, and end at 65535 at most.`);
		if (ports !== null && rule.proto === "icmp") return bad(`line ${line}, acls.${index}: icmp has no ports.`);
		rules.push({
			action: rule.action,
			src: rule.src.map(selectorOf),
			dst: rule.dst.map(selectorOf),
			direction: rule.direction ?? (rule.proto === undefined && ports === null ? "both" : "forward"),
			covers: coverage(rule.proto ?? null, ports),
			line,
			index,
		});
	}
	const testLines = entryLines(text, "tests");
	const tests = parsed.data.tests.map(
		(test, index): PolicyTest => ({
			line: testLines[index] ?? 1,
			src: (typeof test.src === "string" ? [test.src] : test.src).map((each) => each.slice(4)),
			proto: test.proto,
			accept: test.accept.map(targetOf),
			deny: test.deny.map(targetOf),
		}),
	);
	const policy = { text, rules, tests };
	const failures = failedTests(policy);
	if (failures.length > 0)
		return {
			ok: false,
			code: "policy_test_failed",
			message: `The policy fails its own tests: ${failures.slice(0, 5).join("; ")}.`,
		};
	return { ok: true, policy };
}

/** What a peer with the tags `from` may open towards one with the tags `to`. */
export function accessBetween(
	rules: readonly PolicyRule[],
	from: ReadonlySet<string>,
	to: ReadonlySet<string>,
): Access {
	let allowed = noAccess;
	let decided = noAccess;
	for (const rule of rules) {
		if (!appliesTo(rule, from, to)) continue;
		if (rule.action === "accept") allowed = union(allowed, minus(rule.covers, decided));
		decided = union(decided, rule.covers);
	}
	return allowed;
}

/** Which rule decides about one connection; null = none does, so it is refused. @param port null = any port at all. */
export function decidingRule(
	policy: Policy,
	from: ReadonlySet<string>,
	to: ReadonlySet<string>,
	proto: Protocol,
	port: number | null,
): PolicyRule | null {
	for (const rule of policy.rules) {
		if (!appliesTo(rule, from, to)) continue;
		if (port === null && proto !== "icmp" ? rule.covers[proto].length > 0 : allows(rule.covers, proto, port))
			return rule;
	}
	return null;
}

export function matches(selectors: readonly Selector[], tags: ReadonlySet<string>): boolean {
	return selectors.some((each) => {
		switch (each.kind) {
			case "any":
				return true;
			case "tag":
				return tags.has(each.tag);
			case "prefix":
				for (const tag of tags) if (tag.startsWith(each.prefix)) return true;
				return false;
		}
	});
}

function appliesTo(rule: PolicyRule, from: ReadonlySet<string>, to: ReadonlySet<string>): boolean {
	if (matches(rule.src, from) && matches(rule.dst, to)) return true;
	return rule.direction === "both" && matches(rule.src, to) && matches(rule.dst, from);
}

function failedTests(policy: Policy): string[] {
	const failures: string[] = [];
	for (const test of policy.tests) {
		const from = new Set(test.src);
		const check = (target: PolicyTarget, wanted: boolean) => {
			const access = accessBetween(policy.rules, from, new Set(target.tags));
			const reached =
				target.port === null && test.proto !== "icmp" ? !isNone(access) : allows(access, test.proto, target.port);
			if (reached !== wanted)
				failures.push(
					`line ${test.line}: ${test.src.map((tag) => `tag:${tag}`).join("+")} ${wanted ? "must" : "must not"} reach ${target.text} by ${test.proto}`,
				);
		};
		for (const target of test.accept) check(target, true);
		for (const target of test.deny) check(target, false);
	}
	return failures;
}

function selectorOf(text: string): Selector {
	if (text === "*") return { kind: "any" };
	const tag = text.slice(4);
	return tag.endsWith("*") ? { kind: "prefix", prefix: tag.slice(0, -1) } : { kind: "tag", tag };
}

function targetOf(text: string): PolicyTarget {
	const match = /^tag:(.+?)(?::(\d{1,5}))?$/.exec(text) as RegExpExecArray;
	return { text, tags: [match[1] as string], port: match[2] === undefined ? null : Number(match[2]) };
}

function portRanges(ports: readonly (number | string)[]): PortRanges | "bad" {
	let ranges = noAccess;
	for (const each of ports) {
		const [from, to] = typeof each === "number" ? [each, each] : each.split("-").map(Number);
		const end = to ?? (from as number);
		if ((from as number) > end || end > 65535) return "bad";
		ranges = union(ranges, { ...noAccess, tcp: [[from as number, end]] });
	}
	return ranges.tcp;
}

function bad(message: string): PolicyReading {
	return { ok: false, code: "bad_policy", message };
}
