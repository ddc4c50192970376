import { memberCredentials } from "@warren/access";
import { defineErrors, describeIdentity, messageOf } from "@warren/kernel";
import { dataHeaders, type RequestContext } from "@warren/net";
import { z } from "zod";
import { certifyEdge } from "../edge/edge-part.ts";
import { readMembership } from "../hub/membership.ts";
import type { OpenPart } from "../node/role-part.ts";
import type { Processes } from "../supervisor/supervised-role.ts";
import { BackboneBeside } from "./backbone-beside.ts";
import type { ConsoleAddress } from "./backbone-console.ts";
import { ExposedServices } from "./exposed-services.ts";

const exposeError = defineErrors({
	no_backbone: { status: 409 },
	bad_name: { status: 400, fix: "Use lower-case letters, digits and hyphens, at most 63." },
});

const exposeBody = z.object({ port: z.int().min(1).max(65535), public: z.boolean().default(false) });
/** A DNS label; the backbone has the last word. */
const serviceName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * `warren expose`: this machine's services under names of the backbone beside it.
 * @param processes null where a node runs alone.
 */
export function exposePart(processes: Processes | null): OpenPart {
	return async (base, config) => {
		const { data, lifetime, audit, logger } = base;
		const membership = readMembership(data);
		const beside = new BackboneBeside(base, config, processes);
		const needBackbone = (): ConsoleAddress => {
			if (membership !== null)
				throw exposeError(
					"no_backbone",
					`This machine joined the warren of ${membership.hubUrl}: it has no backbone of its own.`,
					{
						fix: "Make a token on the first machine, and run here: warren agent --backbone URL --service NAME --target 127.0.0.1:PORT",
					},
				);
			return beside.need();
		};
		const services = lifetime.own(
			new ExposedServices({
				...base,
				backbone: () => beside.address(),
				needBackbone,
				certify: (names) => certifyEdge(base, config, names),
			}),
		);
		beside.watch(() => {
			services
				.backboneChanged()
				.catch((fault: unknown) => logger.error("exposed services are not served", { fault: messageOf(fault) }));
		});
		const record = ({ identity, remoteAddress }: RequestContext, action: string, target: string, details = {}) =>
			audit.record({
				actor: identity === null ? "anonymous" : describeIdentity(identity),
				action,
				target,
				outcome: "ok",
				address: remoteAddress,
				details,
			});
		const nameIn = ({ params }: RequestContext): string => {
			const name = params["name"] ?? "";
			if (!serviceName.test(name)) throw exposeError("bad_name", `"${name.slice(0, 63)}" cannot be a service's name.`);
			return name;
		};
		const facts = { owner: "node", credentials: memberCredentials } as const;
		return {
			name: "expose",
			authenticators: [],
			peerSources: [],
			roles: () => [],
			routes: [
				{
					...facts,
					method: "GET",
					path: "/api/exposed",
					about: { summary: "Services of this machine under names of its backbone" },
					handle: () => {
						if (services.list().length === 0) needBackbone();
						return Response.json({ services: services.list() }, { headers: dataHeaders });
					},
				},
				{
					...facts,
					method: "PUT",
					path: "/api/exposed/:name",
					about: { summary: "Give a local port a name at the backbone", body: exposeBody },
					handle: async (context) => {
						const name = nameIn(context);
						const body = await context.json(exposeBody);
						const exposed = await services.expose(name, body.port, body.public);
						record(context, "expose.on", name, body);
						return Response.json(exposed, { headers: dataHeaders });
					},
				},
				{
					...facts,
					method: "DELETE",
					path: "/api/exposed/:name",
					about: { summary: "Take the name away" },
					handle: async (context) => {
						const name = nameIn(context);
						await services.hide(name);
						record(context, "expose.off", name);
						return Response.json({ hidden: name }, { headers: dataHeaders });
					},
				},
			],
		};
	};
}
