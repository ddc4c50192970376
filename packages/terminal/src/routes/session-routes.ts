import type { Route } from "@warren/net";
import { z } from "zod";
import type { TerminalService } from "../terminal-service.ts";
import { audit, checkedName, folder, json, members, nothing, owner, renameBody, session } from "./route-context.ts";

const sessionBody = z.object({ name: z.string(), cwd: folder.optional(), command: folder.optional() });

/** Sessions: list, make, look at, rename, end. */
export function sessionRoutes(service: TerminalService): Route[] {
	return [
		{
			owner,
			method: "GET",
			path: "/api/sessions",
			about: { summary: "Terminal sessions" },
			credentials: members,
			handle: async () => json(200, await service.list()),
		},
		{
			owner,
			method: "POST",
			path: "/api/sessions",
			about: { summary: "Make a session", body: sessionBody },
			credentials: members,
			handle: async (context) => {
				const body = await context.json(sessionBody);
				const found = await service.create({
					name: checkedName(body.name),
					...(body.cwd === undefined ? {} : { cwd: body.cwd }),
					...(body.command === undefined ? {} : { command: body.command }),
				});
				audit(service, context, "session.create", found.id, { name: body.name });
				return json(201, await service.view(found));
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/sessions/:session",
			about: { summary: "One session" },
			credentials: members,
			handle: async (context) => json(200, await service.view(await session(service, context))),
		},
		{
			owner,
			method: "PATCH",
			path: "/api/sessions/:session",
			about: { summary: "Rename a session", body: renameBody },
			credentials: members,
			handle: async (context) => {
				const name = checkedName((await context.json(renameBody)).name);
				const found = await session(service, context);
				await found.server.renameSession(found.session.number, name);
				audit(service, context, "session.rename", found.id, { name });
				return json(200, await service.view(await service.find(found.id)));
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/api/sessions/:session",
			about: { summary: "End a session" },
			credentials: members,
			handle: async (context) => {
				const found = await session(service, context);
				await service.kill(found);
				audit(service, context, "session.kill", found.id, { name: found.session.name });
				return nothing();
			},
		},
	];
}
