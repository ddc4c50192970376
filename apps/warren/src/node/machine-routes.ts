import { X509Certificate } from "node:crypto";
import { memberCredentials } from "@warren/access";
import type { Audit, CredentialKind, HealthTable, Identity } from "@warren/kernel";
import { parseRequest } from "@warren/kernel";
import { dataHeaders, httpError, type Metrics, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import type { CaCertificate } from "./certificates.ts";

export interface MachineRouteDeps {
	readonly health: HealthTable;
	readonly audit: Audit;
	readonly metrics: Metrics;
	readonly ca: CaCertificate | null;
	/** The role that answers; `node` unless told. */
	readonly owner?: string;
	/** The node's own unless told; of a person's session only an administrator's is taken. */
	readonly credentials?: readonly CredentialKind[];
	/** What `GET /api/status` shows beside health and process. */
	readonly status: () => Record<string, unknown>;
	/** What `GET /api/me` says; without it there is none. */
	readonly describe?: (identity: Identity) => Record<string, unknown>;
}

const auditQuery = z.object({
	limit: z.coerce.number().pipe(z.int().min(1).max(500)).default(100),
	before: z.coerce.number().pipe(z.int().min(1)).optional(),
	role: z.string().max(40).optional(),
	actor: z.string().max(200).optional(),
});

/** Health, status, audit, metrics, the CA for phones: docs/api-node.md. */
export function machineRoutes(deps: MachineRouteDeps): Route[] {
	const { owner = "node", credentials = memberCredentials, describe } = deps;
	const facts = { owner, method: "GET", credentials } as const;
	const health = () => ({ status: deps.health.summary(), conditions: deps.health.list() });
	return [
		{
			...facts,
			path: "/api/health",
			about: { summary: "Health; its conditions for whoever is signed in" },
			credentials: ["none", ...credentials],
			handle: ({ identity }) =>
				Response.json(isOperator(identity) ? health() : { status: deps.health.summary() }, { headers: dataHeaders }),
		},
		...(describe === undefined
			? []
			: [
					{
						...facts,
						path: "/api/me",
						about: { summary: "Who is signed in" },
						credentials: [...credentials, "share"] as const,
						handle: ({ identity }: RequestContext) =>
							Response.json(describe(identity as Identity), { headers: dataHeaders }),
					},
				]),
		{
			...facts,
			path: "/api/status",
			about: { summary: "Roles, paths, health, process" },
			handle: ({ identity }) => {
				assertOperator(identity);
				return Response.json(
					{
						...deps.status(),
						health: health(),
						process: {
							pid: process.pid,
							memoryBytes: process.memoryUsage.rss(),
							uptimeMs: Math.round(process.uptime() * 1000),
						},
					},
					{ headers: dataHeaders },
				);
			},
		},
		{
			...facts,
			path: "/api/audit",
			about: { summary: "Who did what", query: auditQuery },
			handle: async (context: RequestContext) => {
				assertOperator(context.identity);
				const { limit, before, role, actor } = parseRequest(auditQuery, Object.fromEntries(context.query));
				return Response.json(
					{
						records: await deps.audit.list({
							limit,
							...(before === undefined ? {} : { before }),
							...(role === undefined ? {} : { role }),
							...(actor === undefined ? {} : { actor }),
						}),
					},
					{ headers: dataHeaders },
				);
			},
		},
		{
			...facts,
			path: "/metrics",
			about: { summary: "Metrics for Prometheus" },
			handle: async ({ identity }) => {
				assertOperator(identity);
				return new Response(await deps.metrics.text(), {
					headers: { ...dataHeaders, "content-type": deps.metrics.registry.contentType },
				});
			},
		},
		...(deps.ca === null ? [] : authorityRoutes(deps.ca, owner)),
	];
}

/** Of people with a session only the owner and the administrators run this machine. */
function isOperator(identity: Identity | null): boolean {
	return identity !== null && (identity.kind !== "user" || identity.admin);
}

function assertOperator(identity: Identity | null): void {
	if (!isOperator(identity))
		throw httpError("forbidden", "This is only for the owner and the administrators of this hub.");
}

/** What a phone needs to trust this warren. A CA's certificate is public. */
function authorityRoutes(authority: CaCertificate, owner: string): Route[] {
	const open = { owner, method: "GET", credentials: ["none"] } as const;
	const download = (type: string, name: string) => ({
		...dataHeaders,
		"content-type": type,
		"content-disposition": `attachment; filename="${name}"`,
	});
	return [
		{
			...open,
			path: "/ca.json",
			about: { summary: "The certificate authority's fingerprint" },
			handle: () =>
				Response.json(
					{ fingerprint: authority.fingerprint, name: authority.name, notAfter: authority.notAfter },
					{ headers: dataHeaders },
				),
		},
		{
			...open,
			path: "/ca.crt",
			about: { summary: "The certificate authority" },
			handle: () =>
				new Response(Buffer.from(authority.der), { headers: download("application/x-x509-ca-cert", "warren-ca.crt") }),
		},
		{
			...open,
			path: "/ca.mobileconfig",
			about: { summary: "The certificate authority as Apple's profile" },
			handle: () =>
				new Response(mobileConfig(authority), {
					headers: download("application/x-apple-aspen-config", "warren-ca.mobileconfig"),
				}),
		},
	];
}

/** Apple's configuration profile with one root certificate. */
function mobileConfig(authority: CaCertificate): string {
	const id = new X509Certificate(authority.certPem).serialNumber.toLowerCase().padStart(32, "0").slice(0, 32);
	const uuid = (first: string) =>
		`${first}${id.slice(1, 8)}-${id.slice(8, 12)}-4${id.slice(13, 16)}-8${id.slice(17, 20)}-${id.slice(20, 32)}`.toUpperCase();
	const name = authority.name.replace(/[<>&]/g, "");
	const entry = (key: string, value: string) => `<key>${key}</key><string>${value}</string>`;
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadContent</key><array><dict>
${entry("PayloadType", "com.apple.security.root")}${entry("PayloadIdentifier", `warren.ca.${id}`)}${entry("PayloadUUID", uuid("a"))}<key>PayloadVersion</key><integer>1</integer>
${entry("PayloadDisplayName", name)}<key>PayloadContent</key><data>${Buffer.from(authority.der).toString("base64")}</data>
</dict></array>
${entry("PayloadType", "Configuration")}${entry("PayloadIdentifier", `warren.${id}`)}${entry("PayloadUUID", uuid("b"))}<key>PayloadVersion</key><integer>1</integer>
${entry("PayloadDisplayName", name)}${entry("PayloadDescription", "Lets this device trust your own machines.")}
</dict></plist>
`;
}
