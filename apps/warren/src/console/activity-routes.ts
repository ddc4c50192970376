import { memberCredentials } from "@warren/access";
import { type Audit, parseRequest } from "@warren/kernel";
import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { readActivity } from "./activity.ts";
import type { EdgeDoors } from "./edge-doors.ts";

const activityQuery = z.object({
	limit: z.coerce.number().pipe(z.int().min(1).max(500)).default(100),
	before: z.string().max(200).optional(),
	role: z.string().max(40).optional(),
	actor: z.string().max(200).optional(),
});

/** `GET /api/activity`: what every role of this machine wrote down, in one list. */
export function activityRoutes(audit: Audit, doors: EdgeDoors): Route[] {
	return [
		{
			owner: "node",
			method: "GET",
			path: "/api/activity",
			credentials: memberCredentials,
			about: { summary: "Who did what, of every role on this machine", query: activityQuery },
			handle: async ({ query }) =>
				Response.json(await readActivity(audit, doors, parseRequest(activityQuery, Object.fromEntries(query))), {
					headers: dataHeaders,
				}),
		},
	];
}
