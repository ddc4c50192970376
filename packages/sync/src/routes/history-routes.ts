import { badRequest } from "@warren/kernel";
import type { RequestContext, Route } from "@warren/net";
import { z } from "zod";
import { userOf } from "../documents/documents-list.ts";
import {
	actor,
	type DocumentRoutesDeps,
	documentId,
	download,
	json,
	nothing,
	record,
	type SyncRoutesOptions,
} from "./exchange.ts";

const checkpointBody = z.object({ label: z.string().trim().min(1).max(80) });

/** A document's checkpoints, and going back to one. */
export function historyRoutes({ documents, history, audit }: DocumentRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		{
			...options,
			method: "GET",
			path: "/rooms/:id/checkpoints",
			about: { summary: "A document's history" },
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), documentId(context));
				return json(200, { checkpoints: await history.checkpoints(document.id) });
			},
		},
		{
			...options,
			method: "POST",
			path: "/rooms/:id/checkpoints",
			about: { summary: "Keep the document as it is now", body: checkpointBody },
			handle: async (context) => {
				const { label } = await context.json(checkpointBody);
				const document = await documents.get(userOf(context.identity), documentId(context), "read-write");
				return json(201, { checkpoint: await history.checkpoint(document.id, label) });
			},
		},
		{
			...options,
			method: "GET",
			path: "/rooms/:id/checkpoints/:checkpoint",
			about: { summary: "The document as it was then, a Yjs update" },
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), documentId(context));
				const checkpoint = checkpointId(context);
				const update = await history.checkpointUpdate(document.id, checkpoint);
				return download(update, `${document.id}-${checkpoint}.yjs`);
			},
		},
		{
			...options,
			method: "POST",
			path: "/rooms/:id/checkpoints/:checkpoint/restore",
			about: { summary: "Bring that content back" },
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), documentId(context), "read-write");
				const checkpoint = checkpointId(context);
				await history.restore(document.id, checkpoint, actor(context));
				record(audit, context, "document.restore", document.id, { checkpoint });
				return nothing();
			},
		},
	];
}

function checkpointId(context: RequestContext): number {
	const text = context.params["checkpoint"] ?? "";
	if (!/^[1-9]\d{0,14}$/.test(text)) throw badRequest(`"${text.slice(0, 40)}" is not a checkpoint's number.`);
	return Number(text);
}
