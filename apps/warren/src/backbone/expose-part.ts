import { memberCredentials } from "@warren/access";
import { defineErrors, describeIdentity, messageOf } from "@warren/kernel";
import { dataHeaders, type RequestContext } from "@warren/net";
import { labelOf } from "@warren/overlay";
import { z } from "zod";
import { EdgeDoors } from "../console/edge-doors.ts";
import { certifyEdge } from "../edge/edge-part.ts";
import type { MachineRemovals } from "../hub/machine-removals.ts";
import { readMembership } from "../hub/membership.ts";
import type { NodeBase, OpenPart } from "../node/role-part.ts";
import { writeApps } from "../overlay/apps-file.ts";
import { OverlayView } from "../overlay/overlay-view.ts";
import type { Processes } from "../supervisor/supervised-role.ts";
import { BackboneBeside } from "./backbone-beside.ts";
import { ExposedServices } from "./exposed-services.ts";
import { HubServiceDesk } from "./hub-service-desk.ts";
import { MemberServiceDesk } from "./member-service-desk.ts";
import { serviceNameIn, serviceRoutes, wishFields } from "./service-routes.ts";
import { ServiceUuids } from "./service-uuids.ts";

const exposeBody = z.object({ port: z.int().min(1).max(65535), ...wishFields });
const exposeError = defineErrors({ bad_port: { status: 400 } });

/**
 * `warren expose`: this machine's services under names of its warren's backbone.
 * @param processes null where a node runs alone.
 * @param removals of machines that have names here.
 */
export function exposePart(processes: Processes | null, removals: MachineRemovals): OpenPart {
	return async (base, config) => {
		const { data, lifetime, audit, logger } = base;
		const membership = readMembership(data);
		const beside = new BackboneBeside(base, config, processes);
		const hubDesk =
			membership === null
				? new HubServiceDesk({
						...base,
						backbone: beside,
						uuids: new ServiceUuids(new EdgeDoors(base, config, processes), processes),
						certify: (names) => certifyEdge(base, config, names),
					})
				: null;
		if (hubDesk !== null) {
			lifetime.own(hubDesk);
			removals.watch((nodeId) => {
				hubDesk
					.forget(nodeId)
					.catch((fault: unknown) => logger.error("a removed machine's services stay", { fault: messageOf(fault) }));
			});
		}
		const desk = membership === null ? null : lifetime.own(new MemberServiceDesk(data, membership));
		const own = desk ?? (hubDesk as HubServiceDesk).of(base.nodeId, true);
		const overlay = new OverlayView(base);
		const services = lifetime.own(
			new ExposedServices({
				...base,
				desk: own,
				onApps: (apps) => writeApps(data, apps),
				isMachine: (label) => label === labelOf(config.name) || overlay.isMachine(label),
			}),
		);
		own.watch(() => {
			services
				.backboneChanged()
				.catch((fault: unknown) => logger.error("exposed services are not served", { fault: messageOf(fault) }));
		});
		const record = recordTo(base);
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
					about: { summary: "Services of this machine under names of its warren's backbone" },
					handle: async () => {
						if (services.isEmpty && hubDesk !== null) beside.need();
						return Response.json({ services: await services.list() }, { headers: dataHeaders });
					},
				},
				{
					...facts,
					method: "PUT",
					path: "/api/exposed/:name",
					about: { summary: "Give a local port a name at the backbone", body: exposeBody },
					handle: async (context) => {
						const name = serviceNameIn(context);
						const { port, ...wish } = await context.json(exposeBody);
						if (port === base.port)
							throw exposeError("bad_port", `Port ${port} is this node's own.`, {
								fix: "Give the port of the service itself; machines of the warren reach each other already.",
							});
						const exposed = await services.expose(name, port, wish);
						record(context, "expose.on", name, { port, ...wish });
						return Response.json(exposed, { headers: dataHeaders });
					},
				},
				{
					...facts,
					method: "DELETE",
					path: "/api/exposed/:name",
					about: { summary: "Take the name away" },
					handle: async (context) => {
						const name = serviceNameIn(context);
						await services.hide(name);
						record(context, "expose.off", name);
						return Response.json({ hidden: name }, { headers: dataHeaders });
					},
				},
				...(hubDesk === null || processes === null ? [] : serviceRoutes(hubDesk, audit)),
			],
		};
	};
}

function recordTo({ audit }: NodeBase) {
	return ({ identity, remoteAddress }: RequestContext, action: string, target: string, details = {}) =>
		audit.record({
			actor: identity === null ? "anonymous" : describeIdentity(identity),
			action,
			target,
			outcome: "ok",
			address: remoteAddress,
			details,
		});
}
