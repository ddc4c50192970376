import type { OverlayRule } from "@warren/kernel";
import { type Cidr, maskOf, parseCidr } from "./cidr.ts";
import { FlowTable } from "./flow-table.ts";
import { type PacketFacts, protocolTcp, protocolUdp } from "./ip-packet.ts";

interface CompiledRule {
	readonly direction: "in" | "out";
	readonly addresses: readonly Cidr[];
	readonly protocol: OverlayRule["protocol"];
	readonly ports: readonly (readonly [number, number])[] | undefined;
}

/**
 * What may pass, judged on the inner packet. Rules speak of who begins: what one of them lets through may be answered,
 * because its flow is remembered (F rules of SPEC.md).
 */
export class Rules {
	readonly #rules: readonly CompiledRule[];
	readonly #flows = new FlowTable();

	/** @param rules with addresses that `parseCidr` reads. */
	constructor(rules: readonly OverlayRule[]) {
		this.#rules = rules.map(({ direction, addresses, protocol, ports }) => ({
			direction,
			addresses: addresses.map((address) => parseCidr(address)).filter((cidr) => cidr !== null),
			protocol,
			ports,
		}));
	}

	permits(direction: "in" | "out", facts: PacketFacts, now: number): boolean {
		const isOut = direction === "out";
		const far = isOut ? facts.destination : facts.source;
		const near = isOut ? facts.source : facts.destination;
		const farPort = isOut ? facts.destinationPort : facts.sourcePort;
		const nearPort = isOut ? facts.sourcePort : facts.destinationPort;
		if (
			!facts.isLaterFragment &&
			!facts.isIcmpError &&
			this.#flows.has(facts.protocol, near, nearPort, far, farPort, now)
		)
			return true;
		// Errors speak of flows from routers on the way too; they carry no connection of their own.
		if (facts.isIcmpError) return this.#flows.size > 0;
		// A later fragment may belong to the answer of what a rule lets begin the other way.
		const rule = this.#rules.some(
			(each) => (each.direction === direction || facts.isLaterFragment) && matches(each, facts, far),
		);
		if (rule && !facts.isLaterFragment) this.#flows.add(facts.protocol, near, nearPort, far, farPort, now);
		return rule;
	}
}

function matches(rule: CompiledRule, facts: PacketFacts, far: Uint32Array): boolean {
	if (rule.protocol === "tcp" && facts.protocol !== protocolTcp) return false;
	if (rule.protocol === "udp" && facts.protocol !== protocolUdp) return false;
	if (rule.protocol === "icmp" && !facts.isIcmp) return false;
	if (!rule.addresses.some((cidr) => cidr.version === facts.version && contains(cidr, far))) return false;
	// Nothing comes of a later fragment unless the first, which has the ports, was let through.
	if (rule.ports === undefined || facts.isLaterFragment) return true;
	if (!facts.hasPorts) return false;
	return rule.ports.some(([from, to]) => facts.destinationPort >= from && facts.destinationPort <= to);
}

function contains(cidr: Cidr, address: Uint32Array): boolean {
	return cidr.words.every((word, at) => (((address[at] as number) ^ word) & maskOf(cidr.length, at)) === 0);
}
