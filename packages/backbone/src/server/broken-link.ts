import { ResetCode } from "../protocol/frames.ts";
import { linkLost } from "../tunnel/link.ts";
import type { Lease } from "./agents/agent.ts";

/** Asked for twice these do what they do once (RFC 9110, 9.2.2): another link may be tried. */
export const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

/**
 * What a link that broke before its answer says of its agent, which is asked less often where its service refuses.
 * @returns for the client.
 */
export function brokenBeforeAnswer(lease: Lease, code: number, reason: string): string {
	if (code === ResetCode.refused || code === ResetCode.timeout) lease.agent.refusals += 1;
	if (code === linkLost) return "The agent was lost before it answered.";
	if (code === ResetCode.refused) return "The service behind the agent refuses connections.";
	return `The service did not answer: ${reason.slice(0, 200)}.`;
}
