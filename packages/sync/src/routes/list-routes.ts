import { badRequest } from "@warren/kernel";
import type { Route } from "@warren/net";
import { z } from "zod";
import { documentLimits, userOf } from "../documents/documents-list.ts";
import {
	type DocumentRoutesDeps,
	documentId,
	download,
	json,
	nothing,
	record,
	type SyncRoutesOptions,
} from "./exchange.ts";

const title = z.string().trim().min(1).max(documentLimits.maxTitleLength);
const createBody = z.object({ id: z.string().max(200).optional(), title });
const renameBody = z.object({ title });

/** The list of documents, and what is asked of one as a whole. */
export function listRoutes({ documents, audit, history }: DocumentRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		{
			...options,
			method: "GET",
			path: "/rooms",
			about: { summary: "Documents, own and shared" },
			handle: async (context) => json(200, { rooms: await documents.list(userOf(context.identity)) }),
		},
		{
			...options,
			method: "POST",
			path: "/rooms",
			about: { summary: "Make a document", body: createBody },
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
			about: { summary: "One document" },
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), documentId(context));
				return json(200, { ...document, ...(await history.facts(document.id)) });
			},
		},
		{
			...options,
			method: "PATCH",
			path: "/rooms/:id",
			about: { summary: "Rename a document", body: renameBody },
			handle: async (context) => {
				const body = await context.json(renameBody);
				const document = await documents.rename(userOf(context.identity), documentId(context), body.title);
				record(audit, context, "document.rename", document.id);
				return json(200, document);
			},
		},
		{
			...options,
			method: "DELETE",
			path: "/rooms/:id",
			about: { summary: "Delete a document for good" },
			handle: async (context) => {
				await documents.delete(userOf(context.identity), documentId(context));
				await history.drop(documentId(context));
				record(audit, context, "document.delete", documentId(context));
				return nothing();
			},
		},
		{
			...options,
			method: "GET",
			path: "/rooms/:id/export",
			about: { summary: "The whole document; ?format=update or json" },
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), documentId(context));
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
			about: { summary: "A hash, equal for equal documents" },
			handle: async (context) => {
				const document = await documents.get(userOf(context.identity), documentId(context));
				return json(200, { hash: await history.hash(document.id) });
			},
		},
	];
}
