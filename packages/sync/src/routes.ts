import {
	type Audit,
	badRequest,
	type CredentialKind,
	closeCodes,
	describeIdentity,
	type Identity,
} from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { type DocumentsList, documentLimits, userOf } from "./documents/documents-list.ts";
import type { DocumentHistory } from "./documents/history.ts";
import type { RoomAccess, RoomPermit } from "./documents/room-access.ts";
import { ackSubprotocol, syncLimits } from "./protocol/index.ts";
import type { RelayRoom } from "./relay/relay-room.ts";
import type { SyncRelay } from "./relay/sync-relay.ts";
import { WebSocketSync } from "./relay/web-socket-sync.ts";

export interface SyncRoutesDeps {
	readonly relay: SyncRelay;
	readonly documents: DocumentsList;
	readonly history: DocumentHistory;
	/** Who may enter which room: the documents, and discovery before them where there is any. */
	readonly access: RoomAccess;
	readonly audit: Audit;
}

export interface SyncRoutesOptions {
	/** The role that answers: `hub` or `sidecar`. */
	readonly owner: string;
	/** Kinds of credential that people come with. */
	readonly credentials: readonly CredentialKind[];
}

/** Awareness clients that a socket with acknowledgements may speak for: a link carries those of a whole sidecar. */
const linkClients = 64;

const title = z.string().trim().min(1).max(documentLimits.maxTitleLength);
const createBody = z.object({ id: z.string().max(200).optional(), title });
const renameBody = z.object({ title });
const shareBody = z.object({ access: z.enum(["read-only", "read-write"]) });
const checkpointBody = z.object({ label: z.string().trim().min(1).max(80) });
const userId = z.string().regex(/^[\w.@~-]{1,128}$/, "must be a user's id");

/** Documents and their sync: docs/api-sync.md. */
export function syncRoutes(deps: SyncRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		...listRoutes(deps, options),
		...shareRoutes(deps, options),
		...historyRoutes(deps, options),
		{
			...options,
			method: "WS",
			path: "/rooms/:id/sync",
			open: async (context, upgrade) => {
				const { permit, room } = await enter(deps, context.identity, context.params["id"] ?? "");
				const connection = upgrade.accept({
					maxMessageBytes: syncLimits.maxMessageBytes,
					flush: "now",
					subprotocols: [ackSubprotocol],
				});
				const acknowledges = connection.protocol === ackSubprotocol;
				const { access, stamp } = permit;
				const who = {
					owner: actor(context),
					access,
					acknowledges,
					maxClients: acknowledges ? linkClients : 1,
					...(stamp === undefined ? {} : { stamp }),
				};
				deps.relay.join(room, new WebSocketSync(connection), who, context.identity);
			},
		},
	];
}

/** Permission and room, in one turn at the end: access that changed while the room was opening counts. */
async function enter(
	deps: SyncRoutesDeps,
	identity: Identity | null,
	id: string,
): Promise<{ permit: RoomPermit; room: RelayRoom }> {
	for (;;) {
		const revision = deps.access.revision;
		const permit = await deps.access.permit(identity, id);
		const room = await deps.relay.open(permit.room, permit.keepsUpdates);
		if (deps.access.revision === revision) return { permit, room };
	}
}

function listRoutes({ relay, documents, audit, history }: SyncRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		{
			...options,
			method: "GET",
			path: "/rooms",
			handle: async (context) => json(200, { rooms: await documents.list(userOf(context.identity)) }),
		},
		{
			...options,
			method: "POST",
			path: "/rooms",
			handle: async (context) => {
				const body = await context.json(createBody);
				const wanted = { title: body.title, ...(body.id === undefined ? {} : { id: body.id }) };
				const document = await documents.create(userOf(context.identity), wanted);
				record(audit, context, "document.create", document.id);
				return json(201, document);
			},
		},
		{
			...options,
			method: "GET",
			path: "/rooms/:id",
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), id(context));
				const { head, quarantine, snapshot, tail } = await relay.log.head(document.id);
				const bytes = tail.bytes + (snapshot?.bytes ?? 0);
				return json(200, { ...document, bytes, updates: head, quarantine });
			},
		},
		{
			...options,
			method: "PATCH",
			path: "/rooms/:id",
			handle: async (context) => {
				const body = await context.json(renameBody);
				const document = await documents.rename(userOf(context.identity), id(context), body.title);
				record(audit, context, "document.rename", document.id);
				return json(200, document);
			},
		},
		{
			...options,
			method: "DELETE",
			path: "/rooms/:id",
			handle: async (context) => {
				await documents.delete(userOf(context.identity), id(context));
				await relay.drop(id(context));
				record(audit, context, "document.delete", id(context));
				return nothing();
			},
		},
		{
			...options,
			method: "GET",
			path: "/rooms/:id/export",
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), id(context));
				const format = context.query.get("format") ?? "update";
				if (format === "json") return json(200, await history.json(document.id));
				if (format === "update") return download(await history.update(document.id), `${document.id}.yjs`);
				throw badRequest(`?format= was "${format.slice(0, 40)}"; it must be "update" or "json".`);
			},
		},
		{
			...options,
			method: "GET",
			path: "/rooms/:id/hash",
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), id(context));
				return json(200, { hash: await history.hash(document.id) });
			},
		},
	];
}

function shareRoutes({ documents, audit }: SyncRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		{
			...options,
			method: "GET",
			path: "/rooms/:id/shares",
			handle: async (context) => json(200, { shares: await documents.shares(userOf(context.identity), id(context)) }),
		},
		{
			...options,
			method: "PUT",
			path: "/rooms/:id/shares/:user",
			handle: async (context) => {
				const { access } = await context.json(shareBody);
				const share = await documents.share(userOf(context.identity), id(context), otherUser(context), access);
				record(audit, context, "document.share", id(context), { user: share.user, access });
				return json(200, share);
			},
		},
		{
			...options,
			method: "DELETE",
			path: "/rooms/:id/shares/:user",
			handle: async (context) => {
				await documents.unshare(userOf(context.identity), id(context), otherUser(context));
				record(audit, context, "document.unshare", id(context), { user: otherUser(context) });
				return nothing();
			},
		},
	];
}

function historyRoutes({ documents, history, audit }: SyncRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		{
			...options,
			method: "GET",
			path: "/rooms/:id/checkpoints",
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), id(context));
				return json(200, { checkpoints: await history.checkpoints(document.id) });
			},
		},
		{
			...options,
			method: "POST",
			path: "/rooms/:id/checkpoints",
			handle: async (context) => {
				const { label } = await context.json(checkpointBody);
				const document = await documents.get(userOf(context.identity), id(context), "read-write");
				return json(201, { checkpoint: await history.checkpoint(document.id, label) });
			},
		},
		{
			...options,
			method: "GET",
			path: "/rooms/:id/checkpoints/:checkpoint",
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), id(context));
				const checkpoint = checkpointId(context);
				const update = await history.checkpointUpdate(document.id, checkpoint);
				return download(update, `${document.id}-${checkpoint}.yjs`);
			},
		},
		{
			...options,
			method: "POST",
			path: "/rooms/:id/checkpoints/:checkpoint/restore",
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), id(context), "read-write");
				const checkpoint = checkpointId(context);
				await history.restore(document.id, checkpoint, actor(context));
				record(audit, context, "document.restore", document.id, { checkpoint });
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

function id(context: RequestContext): string {
	return context.params["id"] ?? "";
}

function otherUser(context: RequestContext): string {
	const parsed = userId.safeParse(context.params["user"]);
	if (!parsed.success) throw badRequest(`"${(context.params["user"] ?? "").slice(0, 80)}" is not a user's id.`);
	return parsed.data;
}

function checkpointId(context: RequestContext): number {
	const text = context.params["checkpoint"] ?? "";
	if (!/^[1-9]\d{0,14}$/.test(text)) throw badRequest(`"${text.slice(0, 40)}" is not a checkpoint's number.`);
	return Number(text);
}

function actor(context: RequestContext): string {
	return context.identity === null ? "anonymous" : describeIdentity(context.identity);
}

function record(audit: Audit, context: RequestContext, action: string, target: string, details = {}): void {
	audit.record({ actor: actor(context), action, target, outcome: "ok", address: context.remoteAddress, details });
}

function json(status: number, body: unknown): Response {
	return Response.json(body, { status, headers: dataHeaders });
}

function download(bytes: Uint8Array, name: string): Response {
	return new Response(bytes.slice(), {
		headers: {
			...dataHeaders,
			"content-type": "application/octet-stream",
			"content-disposition": `attachment; filename="${name}"`,
		},
	});
}

function nothing(): Response {
	return new Response(null, { status: 204, headers: dataHeaders });
}
