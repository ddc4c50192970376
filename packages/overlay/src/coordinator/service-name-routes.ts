import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { overlayError } from "../errors.ts";
import { administrator, type CoordinatorRouteDeps, owner, record } from "./route-deps.ts";

const serviceName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const nameBody = z.object({
	/** What it is known by already, by whoever kept it before. */
	uuid: z.uuid().toLowerCase().optional(),
});

/** The UUIDs of services, for whoever gives them their names. */
export function serviceNameRoutes(deps: CoordinatorRouteDeps): Route[] {
	const { services } = deps;
	return [
		{
			owner,
			method: "GET",
			path: "/v1/services",
			about: { summary: "Every service that had a name, with its UUID" },
			credentials: administrator,
			handle: () => Response.json({ services: services.list() }, { headers: dataHeaders }),
		},
		{
			owner,
			method: "PUT",
			path: "/v1/services/:name",
			about: {
				summary: "The UUID of a service's name, made the first time",
				body: nameBody,
				answers: { 200: "name, uuid", 400: "no such name", 409: "that UUID is another name's" },
			},
			credentials: administrator,
			handle: async (context) => {
				const name = context.params["name"] ?? "";
				if (!serviceName.test(name))
					throw overlayError("bad_name", `"${name.slice(0, 63)}" cannot be a service's name.`);
				const { uuid: known = null } = await context.json(nameBody);
				const isNew = !services.has(name);
				const uuid = services.of(name, known);
				await deps.settled();
				if (isNew) record(deps, context, "overlay.service", name);
				return Response.json({ name, uuid }, { headers: dataHeaders });
			},
		},
	];
}
