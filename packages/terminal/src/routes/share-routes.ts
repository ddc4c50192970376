import type { Route } from "@warren/net";
import { z } from "zod";
import { shareLimits } from "../shares.ts";
import type { TerminalService } from "../terminal-service.ts";
import { audit, json, members, nothing, owner, session } from "./route-context.ts";

const shareBody = z.object({
	expiresInMs: z.number().int().min(shareLimits.minLifetimeMs).max(shareLimits.maxLifetimeMs),
});

/** Read-only links to one session. */
export function shareRoutes(service: TerminalService): Route[] {
	return [
		{
			owner,
			method: "POST",
			path: "/api/sessions/:session/shares",
			about: { summary: "Make a read-only link", body: shareBody },
			credentials: members,
			handle: async (context) => {
				const { expiresInMs } = await context.json(shareBody);
				const found = await session(service, context);
				const { share, token } = await service.shares.create(found.id, found.session.createdUnix, expiresInMs);
				audit(service, context, "share.create", share.id, { session: share.session, expiresAt: share.expiresAt });
				return json(201, { share, token, url: `${context.origin}/#share=${token}` });
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/shares",
			about: { summary: "Read-only links that stand" },
			credentials: members,
			handle: () => json(200, { shares: service.shares.list() }),
		},
		{
			owner,
			method: "DELETE",
			path: "/api/shares/:share",
			about: { summary: "End a read-only link" },
			credentials: members,
			handle: async (context) => {
				const id = context.params["share"] ?? "";
				await service.shares.revoke(id);
				audit(service, context, "share.revoke", id);
				return nothing();
			},
		},
	];
}
