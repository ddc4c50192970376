import { type Audit, defineErrors, describeIdentity, type Identity } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import type { HubServiceDesk } from "./hub-service-desk.ts";
import { serviceKinds } from "./service-desk.ts";

const nameError = defineErrors({
	bad_name: { status: 400, fix: "Use lower-case letters, digits and hyphens, at most 63." },
});

/** A DNS label; the backbone has the last word. */
const serviceName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
export const wishFields = {
	kind: z.enum(serviceKinds).default("http"),
	public: z.boolean().default(false),
	grant: z.array(z.string().min(1).max(100)).max(100).default([]),
};
const takeBody = z.object({ ...wishFields, standing: z.string().max(100).nullable().default(null) });

/** @throws WarrenError `bad_name`. */
export function serviceNameIn({ params }: RequestContext): string {
	const name = params["name"] ?? "";
	if (!serviceName.test(name)) throw nameError("bad_name", `"${name.slice(0, 63)}" cannot be a service's name.`);
	return name;
}

/** Where joined machines get names for their services. */
export function serviceRoutes(desk: HubServiceDesk, audit: Audit): Route[] {
	const facts = { owner: "hub", credentials: ["node"] } as const;
	const machineOf = ({ identity }: RequestContext) => (identity as Extract<Identity, { kind: "node" }>).nodeId;
	const record = ({ identity, remoteAddress }: RequestContext, action: string, target: string) =>
		audit.record({
			actor: identity === null ? "anonymous" : describeIdentity(identity),
			action,
			target,
			outcome: "ok",
			address: remoteAddress,
		});
	return [
		{
			...facts,
			method: "PUT",
			path: "/v1/machines/self/services/:name",
			about: { summary: "A name for a machine's service at the backbone", body: takeBody },
			handle: async (context) => {
				const name = serviceNameIn(context);
				const { standing, ...wish } = await context.json(takeBody);
				const held = await desk.of(machineOf(context)).take(name, wish, standing);
				const { url, ca } = desk.place();
				record(context, "expose.on", name);
				return Response.json({ held, port: Number(new URL(url).port), ca }, { headers: dataHeaders });
			},
		},
		{
			...facts,
			method: "POST",
			path: "/v1/machines/self/services/:name/release",
			about: { summary: "Give a service's name back" },
			handle: async (context) => {
				const name = serviceNameIn(context);
				await desk.of(machineOf(context)).release(name);
				record(context, "expose.off", name);
				return Response.json({ released: name }, { headers: dataHeaders });
			},
		},
	];
}
