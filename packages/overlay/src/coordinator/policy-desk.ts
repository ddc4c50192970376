import { createHash } from "node:crypto";
import { overlayError } from "../errors.ts";
import { allows, isNone, type Protocol } from "../protocol/access.ts";
import type { PeerRecord } from "../protocol/peer-record.ts";
import { accessBetween, decidingRule, type Policy, readPolicy } from "../protocol/policy.ts";
import { type PolicyPreview, previewPolicy } from "../protocol/policy-preview.ts";
import type { RosterMachine } from "../protocol/roster-machine.ts";

/** The policy as its editors see it: read, tried, explained, changed only by whoever has seen the present one. */
export class PolicyDesk {
	readonly #roster: RosterMachine;
	readonly #save: (text: string) => void;

	/** @param save where it outlives the process; what it throws leaves the policy as it was. */
	constructor(roster: RosterMachine, save: (text: string) => void) {
		this.#roster = roster;
		this.#save = save;
	}

	get text(): string {
		return this.#roster.policy.text;
	}

	get etag(): string {
		return etagOf(this.text);
	}

	/** @throws WarrenError `policy_unmatched` 428, `policy_stale` 412, `bad_policy` and `policy_test_failed` 422. */
	replace(text: string, ifMatch: string | undefined): void {
		if (ifMatch === undefined)
			throw overlayError("policy_unmatched", "A policy is only replaced with an If-Match header.");
		const tags = ifMatch.split(",").map((each) => each.trim().replace(/^W\//, ""));
		if (!tags.includes(this.etag) && !tags.includes("*"))
			throw overlayError(
				"policy_stale",
				`The policy has changed since: it is ${this.etag} now, and If-Match says ${ifMatch.slice(0, 80)}.`,
			);
		const policy = parse(text);
		this.#save(text);
		this.#roster.setPolicy(policy);
	}

	/** What the policy `text` would change for these peers. @throws WarrenError `bad_policy`, `policy_test_failed`. */
	preview(text: string, peers: Iterable<PeerRecord>): PolicyPreview {
		return previewPolicy(this.#roster.policy, parse(text), peers);
	}

	/** Why one peer can or cannot open a connection to another. @param port null = any at all. */
	explain(from: PeerRecord, to: PeerRecord, proto: Protocol, port: number | null) {
		const [fromTags, toTags] = [new Set(from.tags), new Set(to.tags)];
		const target = `${to.display_name}${port === null ? "" : `:${port}`} by ${proto}`;
		if (from.network !== to.network)
			return {
				allowed: false,
				visible: false,
				rule: null,
				reason: `${from.display_name} is in the network "${from.network}", ${to.display_name} in "${to.network}": networks never see each other.`,
			};
		const { policy } = this.#roster;
		const out = accessBetween(policy.rules, fromTags, toTags);
		const visible = !isNone(out) || !isNone(accessBetween(policy.rules, toTags, fromTags));
		const rule = decidingRule(policy, fromTags, toTags, proto, port);
		const allowed = port === null && proto !== "icmp" ? out[proto].length > 0 : allows(out, proto, port);
		const shown = rule === null ? null : { index: rule.index, line: rule.line, action: rule.action };
		const tags = `${list(from.tags)} to ${list(to.tags)}`;
		const reason =
			rule === null
				? `No rule covers ${tags}: what no rule accepts is refused, so ${from.display_name} cannot reach ${target}.`
				: `acls[${rule.index}] (line ${rule.line}) is the first that covers ${tags}, and it says ${rule.action}: ${from.display_name} ${allowed ? "can" : "cannot"} reach ${target}.`;
		return { allowed, visible, rule: shown, reason };
	}
}

/** @throws WarrenError `bad_policy`, `policy_test_failed`. */
export function parse(text: string): Policy {
	const reading = readPolicy(text);
	if (!reading.ok) throw overlayError(reading.code, reading.message);
	return reading.policy;
}

function etagOf(text: string): string {
	return `"${createHash("sha256").update(text).digest("hex").slice(0, 32)}"`;
}

function list(tags: readonly string[]): string {
	return tags.length === 0 ? "no tags" : tags.map((tag) => `tag:${tag}`).join("+");
}
