import { type Audit, type CredentialKind, describeIdentity } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route, type RouteAbout } from "@warren/net";
import { z } from "zod";
import { fingerprintOf } from "../ed25519.ts";
import { gatewayLimits, meshIdPattern } from "../protocol/index.ts";
import type { Federation } from "./federation.ts";

const registerBody = z.object({
	gatewayUrl: z.url({ protocol: /^wss?$/ }).optional(),
	meshId: z.string().max(gatewayLimits.maxMeshIdLength).regex(meshIdPattern).optional(),
	secret: z.string().min(8).max(gatewayLimits.maxSecretLength).optional(),
	name: z.string().trim().min(1).max(gatewayLimits.maxNameLength).optional(),
	invitation: z.string().max(gatewayLimits.maxSecretLength).optional(),
});

const meshList = z
	.array(z.string().max(gatewayLimits.maxMeshIdLength).regex(meshIdPattern))
	.max(gatewayLimits.maxAccessEntries);
const accessBody = z.object({ allow: meshList.nullable(), block: meshList });
const acceptBody = z.object({ fingerprint: z.string().max(64) });

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
	const audit = (context: RequestContext, action: string, target: string) =>
		options.audit.record({
			actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
			action,
			target,
			outcome: "ok",
			address: context.remoteAddress,
		});
	/** What the owner alone decides: written down, and everybody who looks hears of it. */
	const decide = (
		method: "PUT" | "POST" | "DELETE",
		path: string,
		about: RouteAbout,
		action: string,
		act: (context: RequestContext, mesh: string) => void | Promise<void>,
	): Route => ({
		owner,
		method,
		path,
		about,
		credentials: options.owners,
		handle: async (context) => {
			const mesh = context.params["mesh"] ?? "";
			await act(context, mesh);
			federation.trusted();
			audit(context, action, mesh);
			return Response.json(trustOf(federation), { headers: dataHeaders });
		},
	});
	const get = (path: string, summary: string, answer: () => unknown): Route => ({
		owner,
		method: "GET",
		path,
		about: { summary },
		credentials: options.credentials,
		handle: async () => Response.json(await answer(), { headers: dataHeaders }),
	});
	return [
		get("/api/gateway/status", "Where this machine federates, and how that stands", () => statusOf(federation)),
		get("/api/gateway/instances", "Meshes at the gateway", async () => ({
			instances: (await federation.link?.instances()) ?? [],
		})),
		get("/api/gateway/participants", "People of other meshes", () => ({
			participants: (federation.link?.participants() ?? []).flatMap(({ meshId, meshName, participants }) =>
				participants.map((each) => ({ ...each, meshId, meshName })),
			),
		})),
		get("/api/gateway/trust", "Keys that are trusted, and who may call", () => trustOf(federation)),
		decide(
			"PUT",
			"/api/gateway/access",
			{ summary: "Say which meshes may call", body: accessBody },
			"gateway.access",
			async (context) => {
				federation.access = await context.json(accessBody);
			},
		),
		decide(
			"POST",
			"/api/gateway/keys/:mesh/accept",
			{ summary: "Trust a mesh's new key", body: acceptBody },
			"gateway.key.accept",
			async (context, mesh) => federation.trust.accept(mesh, (await context.json(acceptBody)).fingerprint),
		),
		decide(
			"DELETE",
			"/api/gateway/keys/:mesh",
			{ summary: "Forget a mesh's key" },
			"gateway.key.forget",
			(_context, mesh) => federation.trust.forget(mesh),
		),
		{
			owner,
			method: "POST",
			path: "/api/gateway/register",
			about: { summary: "Register this machine at a gateway", body: registerBody },
			credentials: options.owners,
			handle: async (context) => {
				await federation.register(await context.json(registerBody));
				audit(context, "gateway.register", federation.gatewayUrl);
				return Response.json({ ok: true, ...statusOf(federation) }, { headers: dataHeaders });
			},
		},
	];
}

/** Whose word counts here. */
function trustOf(federation: Federation) {
	return {
		own: { fingerprint: fingerprintOf(federation.key.publicKey), login: federation.link?.settings.login ?? null },
		access: federation.access,
		meshes: federation.trust.list(),
	};
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
