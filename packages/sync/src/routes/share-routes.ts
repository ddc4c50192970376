import { badRequest, closeCodes, type Identity } from "@warren/kernel";
import type { RequestContext, Route } from "@warren/net";
import { z } from "zod";
import { userOf } from "../documents/documents-list.ts";
import type { SyncRelay } from "../relay/sync-relay.ts";
import { type DocumentRoutesDeps, documentId, json, nothing, record, type SyncRoutesOptions } from "./exchange.ts";

const shareBody = z.object({ access: z.enum(["read-only", "read-write"]) });
const userId = z.string().regex(/^[\w.@~-]{1,128}$/, "must be a user's id");

/** Who else may see or change a document: for its owner. */
export function shareRoutes({ documents, audit }: DocumentRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		{
			...options,
			method: "GET",
			path: "/rooms/:id/shares",
			about: { summary: "With whom a document is shared" },
			handle: async (context) =>
				json(200, { shares: await documents.shares(userOf(context.identity), documentId(context)) }),
		},
		{
			...options,
			method: "PUT",
			path: "/rooms/:id/shares/:user",
			about: { summary: "Share a document, or change how", body: shareBody },
			handle: async (context) => {
				const { access } = await context.json(shareBody);
				const share = await documents.share(userOf(context.identity), documentId(context), otherUser(context), access);
				record(audit, context, "document.share", documentId(context), { user: share.user, access });
				return json(200, share);
			},
		},
		{
			...options,
			method: "DELETE",
			path: "/rooms/:id/shares/:user",
			about: { summary: "End a share" },
			handle: async (context) => {
				await documents.unshare(userOf(context.identity), documentId(context), otherUser(context));
				record(audit, context, "document.unshare", documentId(context), { user: otherUser(context) });
				return nothing();
			},
		},
	];
}

/** What a change of access means for open sockets: revoked ones park, others come back with what they may do now. */
export function closeAfterAccessChange(
	relay: SyncRelay,
	document: string,
	user: string,
	access: string | null,
): number {
	const matches = (attendance: { room: string; identity: Identity | null }) =>
		attendance.room === document && attendance.identity?.kind === "user" && attendance.identity.userId === user;
	return access === null
		? relay.disconnect(
				matches,
				closeCodes.forbidden,
				"document_forbidden",
				"this document is no longer shared with you",
			)
		: relay.disconnect(matches, closeCodes.unavailable, "access_changed", `your access is "${access}" now`);
}

function otherUser(context: RequestContext): string {
	const parsed = userId.safeParse(context.params["user"]);
	if (!parsed.success) throw badRequest(`"${(context.params["user"] ?? "").slice(0, 80)}" is not a user's id.`);
	return parsed.data;
}
