import { type Audit, type Clock, ExpiringMap, newSecret, type Random, RateLimit } from "@warren/kernel";
import type { Route } from "@warren/net";
import { z } from "zod";
import { cleanName, maxDeviceNameLength } from "../device-name.ts";
import { accountsError } from "../errors.ts";
import { answer, recordTo } from "../hub-route.ts";
import { deviceKeySchema, proofMessage, thumbprint, verifyProof } from "./device-key.ts";
import type { TicketPayload, TicketVerdict } from "./ticket.ts";

export const nonceLimits = {
	lifetimeMs: 60_000,
	maxWaiting: 1000,
	/** Nonces asked for and tickets refused. */
	perAddress: { perSecond: 0.5, burst: 20, maxKeys: 10_000 },
} as const;

const ticketPath = "/api/devices/ticket";
const ticketBody = z.object({
	ticket: z.string().max(4096),
	nonce: z.string().max(100),
	proof: z.string().max(200),
	publicKey: deviceKeySchema,
	name: z
		.string()
		.max(4 * maxDeviceNameLength)
		.transform((text) => cleanName(text))
		.pipe(z.string().min(1).max(maxDeviceNameLength)),
});

/**
 * The node's half: a device that the hub knew enrols here, whether the hub is there or not. For the node's listener,
 * beside its own `/api/devices`.
 * @param deps.node this node's identifier: the audience of tickets and proofs.
 * @param deps.verify `verifyTicket` with what this node holds, and whether it takes tickets of that person at all.
 * @param deps.enrol makes the local device; what it returns is the answer.
 * @param deps.withdraw signs out what a ticket enrolled.
 */
export function ticketRoutes(deps: {
	readonly node: string;
	readonly clock: Clock;
	readonly random: Random;
	readonly audit: Audit;
	readonly verify: (ticket: string) => TicketVerdict | Promise<TicketVerdict>;
	readonly enrol: (payload: TicketPayload, name: string) => Promise<unknown>;
	readonly withdraw: (ticketId: string) => Promise<void>;
}): Route[] {
	const owner = "node";
	const record = recordTo(deps.audit);
	const nonces = new ExpiringMap<string, true>(deps.clock, nonceLimits.maxWaiting);
	const tries = new RateLimit(deps.clock, nonceLimits.perAddress);
	return [
		{
			owner,
			method: "POST",
			path: "/api/devices/nonce",
			about: { summary: "A challenge for a device's ticket" },
			credentials: ["none"],
			handle: (context) => {
				assertWithin(tries.take(context.remoteAddress), context.remoteAddress);
				const nonce = newSecret(deps.random);
				nonces.set(nonce, true, nonceLimits.lifetimeMs);
				return answer({ nonce, audience: deps.node, path: ticketPath, expiresInMs: nonceLimits.lifetimeMs }, 201);
			},
		},
		{
			owner,
			method: "POST",
			path: ticketPath,
			about: { summary: "Make a token for a device by its ticket of the hub", body: ticketBody },
			credentials: ["none"],
			handle: async (context) => {
				const body = await context.json(ticketBody);
				// Those over the limit are not written down: a flood of them would push out everything else.
				assertWithin(tries.waitMs(context.remoteAddress), context.remoteAddress);
				const refuse = (message: string, ticketId = "") => {
					tries.take(context.remoteAddress);
					record(context, "device.ticket", ticketId, { outcome: "refused", details: { reason: message } });
					return accountsError("bad_ticket", message);
				};
				// Taken first: a nonce is good for one try.
				if (nonces.take(body.nonce) !== true) throw refuse("This nonce was used, or is over a minute old.");
				const verdict = await deps.verify(body.ticket);
				if (!verdict.ok) throw refuse(verdict.message);
				const { payload } = verdict;
				if (thumbprint(body.publicKey) !== payload.deviceKey)
					throw refuse("This ticket is bound to another device's key.", payload.ticketId);
				if (!verifyProof(body.publicKey, proofMessage(body.nonce, deps.node, ticketPath), body.proof))
					throw refuse("The proof does not fit the device's key.", payload.ticketId);
				const enrolled = await deps.enrol(payload, body.name);
				// A revocation that came meanwhile had nothing to end yet.
				const still = await deps.verify(body.ticket);
				if (!still.ok) {
					await deps.withdraw(payload.ticketId);
					throw refuse(still.message, payload.ticketId);
				}
				record(context, "device.ticket", payload.ticketId, { details: { user: payload.userId } });
				return answer(enrolled, 201);
			},
		},
	];
}

/** @throws WarrenError `rate_limited`. */
function assertWithin(waitMs: number, address: string): void {
	if (waitMs > 0)
		throw accountsError("rate_limited", `Too many tries from ${address}.`, { details: { retryAfterMs: waitMs } });
}
