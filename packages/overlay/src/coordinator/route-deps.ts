import type { Audit, CredentialKind } from "@warren/kernel";
import { describeIdentity } from "@warren/kernel";
import type { Metrics, RequestContext } from "@warren/net";
import { overlayError } from "../errors.ts";
import type { CoordinatorCredentials } from "./credentials.ts";
import type { JoinAuthority } from "./join-authority.ts";
import type { Caller } from "./live-peer.ts";
import type { PolicyDesk } from "./policy-desk.ts";
import type { Punches } from "./punches.ts";
import type { Registry } from "./registry.ts";
import type { Relay } from "./relay.ts";
import type { RosterSigner } from "./roster-signer.ts";
import type { ServiceNames } from "./service-names.ts";
import type { Streams } from "./streams.ts";

export interface CoordinatorRouteDeps {
	readonly registry: Registry;
	readonly streams: Streams;
	readonly punches: Punches;
	readonly relay: Relay;
	readonly policy: PolicyDesk;
	readonly services: ServiceNames;
	readonly credentials: CoordinatorCredentials;
	/** Null = certificates alone admit. */
	readonly joinTokens: JoinAuthority | null;
	readonly signer: RosterSigner | null;
	readonly audit: Audit;
	readonly metrics: Metrics;
	readonly health: () => object;
	/** No certificates: loopback development. */
	readonly insecure: boolean;
	readonly stunPorts: () => readonly number[];
	/** Another after each start: a joiner that sees it change waits for the others to come back as well. */
	readonly run: string;
	/** What was done until now outlives this process. */
	readonly settled: () => Promise<void>;
}

export const owner = "coordinator";

export const administrator: readonly CredentialKind[] = ["admin"];

/** What lets a machine in: its certificate, or nothing where nobody has one. */
export function memberOf(deps: CoordinatorRouteDeps): readonly CredentialKind[] {
	return deps.insecure ? ["none"] : ["node"];
}

/** @throws WarrenError `not_your_peer` without a certificate where one is needed. */
export function callerOf(deps: CoordinatorRouteDeps, context: RequestContext): Caller {
	const certificate = deps.credentials.factsOf(context.identity);
	if (certificate === null && !deps.insecure)
		throw overlayError("not_your_peer", "This needs a machine's certificate.");
	return { certificate, remoteAddress: context.remoteAddress };
}

export function record(deps: CoordinatorRouteDeps, context: RequestContext, action: string, target: string): void {
	deps.audit.record({
		actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
		action,
		target,
		outcome: "ok",
		address: context.remoteAddress,
	});
}
