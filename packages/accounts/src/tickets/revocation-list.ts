import { z } from "zod";
import { type TicketKey, type TicketSigner, unseal } from "./ticket.ts";

const purpose = "warren-revocations.v1";
const listSchema = z.object({
	v: z.literal(1),
	kid: z.string(),
	/** Grows with each revocation: an older list never replaces a newer one. */
	seq: z.number().int().min(0),
	/** Tickets that were taken back; `exp` is when the entry may be forgotten. */
	tickets: z.array(z.object({ id: z.string(), exp: z.number() })).max(100_000),
});

/** Which of the hub's tickets no longer count, as the hub signs it and nodes keep it. */
export interface RevocationList {
	readonly seq: number;
	readonly tickets: readonly { readonly id: string; readonly exp: number }[];
}

export function sealRevocations(signer: TicketSigner, list: RevocationList): string {
	return signer.seal(purpose, { v: 1, kid: signer.key.kid, ...list });
}

/** @returns null when it is not of this hub. */
export function openRevocations(sealed: string, keys: readonly TicketKey[]): RevocationList | null {
	const opened = unseal(purpose, sealed, keys);
	if (!opened.ok) return null;
	const parsed = listSchema.safeParse(opened.statement);
	return parsed.success ? { seq: parsed.data.seq, tickets: parsed.data.tickets } : null;
}
