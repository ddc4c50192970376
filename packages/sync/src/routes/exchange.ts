import { type Audit, type CredentialKind, describeIdentity } from "@warren/kernel";
import { dataHeaders, type RequestContext } from "@warren/net";
import type { DocumentContents } from "../documents/document-contents.ts";
import type { DocumentsList } from "../documents/documents-list.ts";
import type { RoomAccess } from "../documents/room-access.ts";
import type { SyncRelay } from "../relay/sync-relay.ts";

export interface DocumentRoutesDeps {
	readonly documents: DocumentsList;
	readonly history: DocumentContents;
	readonly audit: Audit;
}

export interface SyncRoutesDeps extends DocumentRoutesDeps {
	readonly relay: SyncRelay;
	/** Who may enter which room: the documents, and discovery before them where there is any. */
	readonly access: RoomAccess;
}

export interface SyncRoutesOptions {
	/** The role that answers: `hub` or `sidecar`. */
	readonly owner: string;
	/** Kinds of credential that people come with. */
	readonly credentials: readonly CredentialKind[];
}

/** The document that a request is about, unchecked. */
export function documentId(context: RequestContext): string {
	return context.params["id"] ?? "";
}

export function actor(context: RequestContext): string {
	return context.identity === null ? "anonymous" : describeIdentity(context.identity);
}

export function record(audit: Audit, context: RequestContext, action: string, target: string, details = {}): void {
	audit.record({ actor: actor(context), action, target, outcome: "ok", address: context.remoteAddress, details });
}

export function json(status: number, body: unknown): Response {
	return Response.json(body, { status, headers: dataHeaders });
}

export function download(bytes: Uint8Array, name: string): Response {
	return new Response(bytes.slice(), {
		headers: {
			...dataHeaders,
			"content-type": "application/octet-stream",
			"content-disposition": `attachment; filename="${name}"`,
		},
	});
}

export function nothing(): Response {
	return new Response(null, { status: 204, headers: dataHeaders });
}
