import { type Audit, type CredentialKind, describeIdentity } from "@warren/kernel";
import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { gatewayLimits, meshIdPattern } from "../protocol/index.ts";
import type { Federation } from "./federation.ts";

const registerBody = z.object({
	gatewayUrl: z.url({ protocol: /^wss?$/ }).optional(),
	meshId: z.string().max(gatewayLimits.maxMeshIdLength).regex(meshIdPattern).optional(),
	secret: z.string().min(8).max(gatewayLimits.maxSecretLength).optional(),
	name: z.string().trim().min(1).max(gatewayLimits.maxNameLength).optional(),
	invitation: z.string().max(gatewayLimits.maxSecretLength).optional(),
});

/** `/api/gateway/*` of a node: where it federates, and who is there. */
export function federationRoutes(
	federation: Federation,
	options: {
		/** Who may look. */
		readonly credentials: readonly CredentialKind[];
		/** Who may register this machine. */
		readonly owners: readonly CredentialKind[];
		readonly audit: Audit;
	},
): Route[] {
	const owner = "gateway-link";
	const get = (path: string, answer: () => unknown): Route => ({
		owner,
		method: "GET",
		path,
		credentials: options.credentials,
		handle: async () => Response.json(await answer(), { headers: dataHeaders }),
	});
	return [
		get("/api/gateway/status", () => statusOf(federation)),
		get("/api/gateway/instances", async () => ({ instances: (await federation.link?.instances()) ?? [] })),
		get("/api/gateway/participants", () => ({
			participants: (federation.link?.participants() ?? []).flatMap(({ meshId, meshName, participants }) =>
				participants.map((each) => ({ ...each, meshId, meshName })),
			),
		})),
		{
			owner,
			method: "POST",
			path: "/api/gateway/register",
			credentials: options.owners,
			handle: async (context) => {
				await federation.register(await context.json(registerBody));
				options.audit.record({
					actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
					action: "gateway.register",
					target: federation.gatewayUrl,
					outcome: "ok",
					address: context.remoteAddress,
				});
				return Response.json({ ok: true, ...statusOf(federation) }, { headers: dataHeaders });
			},
		},
	];
}

function statusOf(federation: Federation) {
	const { link } = federation;
	const state = link?.state ?? null;
	return {
		configured: link !== null,
		fixed: federation.isFixed,
		connected: state?.at === "connected",
		state: state?.at ?? "off",
		reason: state !== null && "reason" in state ? state.reason : null,
		retryAt: state?.at === "waiting" ? state.retryAt : null,
		meshId: link?.settings.meshId ?? null,
		meshName: state?.at === "connected" ? state.name : null,
		gatewayUrl: federation.gatewayUrl,
		features: state?.at === "connected" ? state.features : [],
		waiting: federation.waiting,
	};
}
