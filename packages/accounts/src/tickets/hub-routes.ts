import type { Audit } from "@warren/kernel";
import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { accountsError } from "../errors.ts";
import { answer, nothing, recordTo, signedInOf, userOf } from "../hub-route.ts";
import type { Machines } from "../machines/machines.ts";
import type { TicketKey } from "./ticket.ts";
import type { Tickets } from "./tickets.ts";

const ticketBody = z.object({
	deviceKey: z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be a JWK thumbprint (RFC 7638), base64url"),
	node: z.string().min(1).max(64),
});

/** The hub's half of device tickets: docs/api-hub.md. */
export function hubTicketRoutes(deps: {
	readonly tickets: Tickets;
	readonly machines: Machines;
	readonly audit: Audit;
	readonly key: TicketKey;
	readonly ownerId: () => Promise<string>;
}): Route[] {
	const { tickets, machines } = deps;
	const owner = "hub";
	const record = recordTo(deps.audit);
	return [
		{
			owner,
			method: "POST",
			path: "/me/tickets",
			about: { summary: "A ticket that lets a device into one node with the hub away", body: ticketBody },
			credentials: ["session"],
			handle: async (context) => {
				const user = signedInOf(context, "gets no tickets");
				const body = await context.json(ticketBody);
				const machine = await machines.get(body.node);
				// A terminal is its machine's owner's: whoever joined it gave that consent, and only for themselves.
				if ((machine.ownerId || (await deps.ownerId())) !== user.userId)
					throw accountsError("not_your_machine", `${machine.name} was not joined by you.`);
				const issued = await tickets.issue(
					{ userId: user.userId, deviceId: user.deviceId, sessionExpiresAt: user.expiresAt },
					machine.nodeId,
					body.deviceKey,
				);
				record(context, "ticket.issue", issued.ticketId, { details: { node: machine.nodeId } });
				return answer(issued, 201);
			},
		},
		{
			owner,
			method: "GET",
			path: "/me/tickets",
			about: { summary: "One's tickets" },
			credentials: ["session"],
			handle: async (context) => answer({ tickets: await tickets.list(userOf(context).userId) }),
		},
		{
			owner,
			method: "DELETE",
			path: "/me/tickets/:ticket",
			about: { summary: "Revoke a ticket" },
			credentials: ["session"],
			handle: async (context) => {
				const id = context.params["ticket"] ?? "";
				await tickets.revoke(userOf(context).userId, id);
				record(context, "ticket.revoke", id);
				return nothing();
			},
		},
		{
			owner,
			method: "GET",
			path: "/v1/revocations",
			about: { summary: "Revoked tickets, signed" },
			credentials: ["node"],
			handle: async (context) => {
				const { sealed, etag } = await tickets.revocations();
				const headers = { etag, "cache-control": "no-cache" };
				if (context.headers["if-none-match"] === etag)
					return new Response(null, { status: 304, headers: { ...dataHeaders, ...headers } });
				return answer({ revocations: sealed, key: deps.key }, 200, headers);
			},
		},
	];
}
