import { readFileSync } from "node:fs";
import {
	GatewayServer,
	type GatewayStore,
	type GatewayTables,
	gatewaySchema,
	openPostgresGatewayStore,
	openSqliteGatewayStore,
} from "@warren/gateway";
import {
	type Audit,
	adminAuthenticator,
	type Clock,
	HealthTable,
	hashToken,
	Lifetime,
	type Logger,
	parseRequest,
	type Random,
	type Tracer,
} from "@warren/kernel";
import { dataHeaders, describedRoutes, HostTable, Listener, Metrics, type Route, type TlsIdentity } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables, SharedClock } from "@warren/store";
import { z } from "zod";
import { openLedRole } from "../cluster/led-role.ts";
import type { DatabaseConfig } from "../config/cluster-config.ts";
import { DataFolder } from "../config/data-folder.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";
import { version } from "../version.ts";

export interface GatewayDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly adminTokenHashes: readonly string[];
	readonly tracer?: Tracer | null | undefined;
}

/** The one line of `--json`. */
export interface GatewayReady {
	readonly url: string;
	readonly port: number;
	readonly data: string;
	readonly pid: number;
	/** Whether anybody may register. */
	readonly open: boolean;
}

export interface GatewayRole {
	readonly ready: GatewayReady;
	/** Null where another instance may lead. */
	readonly listener: Listener | null;
	/** Tells everybody to come back, keeps what is under way, closes. */
	close(): Promise<void>;
}

const auditQuery = z.object({
	limit: z.coerce.number().pipe(z.int().min(1).max(500)).default(100),
	before: z.coerce.number().pipe(z.int().min(1)).optional(),
	actor: z.string().max(200).optional(),
});

/** Behind proxies and in containers a gateway has names that it cannot know; it holds nothing that a page could borrow. */
class AnyHost extends HostTable {
	override accepts(): boolean {
		return true;
	}
}

/** A gateway alone, or one of several. Closes what it opened when it cannot start. */
export async function openGateway(
	given: Omit<GatewayDeps, "adminTokenHashes">,
	config: GatewayConfig,
	/** SHA-256, hex, of administrators' tokens beside the one of `config`. */
	shared: { readonly adminTokenHashes?: readonly string[] } = {},
): Promise<GatewayRole> {
	const own = config.adminToken === undefined ? [] : [hashToken(config.adminToken)];
	const deps = { ...given, adminTokenHashes: [...own, ...(shared.adminTokenHashes ?? [])] };
	const lifetime = new Lifetime();
	try {
		const data = lifetime.own(DataFolder.open(config.data));
		const { port, listener } =
			config.shared === null
				? await openAlone(deps, config, data, lifetime)
				: await openLed(deps, config, config.shared, lifetime);
		const scheme = config.tlsCert === undefined ? "http" : "https";
		const host = config.hostname[0] ?? (config.host === undefined ? "localhost" : config.host);
		return {
			listener,
			ready: {
				port,
				url: `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`,
				data: data.path,
				pid: process.pid,
				open: config.invitation === undefined,
			},
			close: () => lifetime.close(),
		};
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

async function openAlone(
	deps: GatewayDeps,
	config: GatewayConfig,
	data: DataFolder,
	lifetime: Lifetime,
): Promise<{ readonly port: number; readonly listener: Listener }> {
	const tables = lifetime.own(
		await openSqliteTables<GatewayTables & AuditTable>(data.file("gateway.db"), [gatewaySchema, auditSchema]),
	);
	const store = openSqliteGatewayStore(tables.statements, deps.logger);
	const audit = new AuditLog(tables.db, deps.clock, deps.logger, { role: "gateway" });
	const state = { store, audit, health: new HealthTable(deps.clock) };
	const { listener } = await serve(deps, config, state, { host: config.host, port: config.port }, lifetime);
	return { port: listener.port, listener };
}

async function openLed(
	deps: GatewayDeps,
	config: GatewayConfig,
	shared: DatabaseConfig,
	lifetime: Lifetime,
): Promise<{ readonly port: number; readonly listener: null }> {
	const role = "gateway";
	const led = await openLedRole<GatewayTables & AuditTable>(deps, {
		role,
		host: config.host,
		port: config.port,
		shared,
		schemas: [gatewaySchema, auditSchema],
		maxConnections: config.maxConnections + 100,
		serve: async ({ db }, epoch, own) => {
			const health = new HealthTable(deps.clock);
			const clock = own.own(await SharedClock.open(db, { ...deps, health }));
			const store = await openPostgresGatewayStore(db, role, epoch, deps.logger);
			const state = { store, audit: new AuditLog(db, clock, deps.logger, { role: "gateway" }), health };
			const { listener, server } = await serve({ ...deps, clock }, config, state, { host: "127.0.0.1", port: 0 }, own);
			return { listener, close: () => server.close() };
		},
	});
	lifetime.own(led);
	return { port: led.port, listener: null };
}

async function serve(
	deps: GatewayDeps,
	config: GatewayConfig,
	{ store, audit, health }: { readonly store: GatewayStore; readonly audit: Audit; readonly health: HealthTable },
	where: { readonly host: string | undefined; readonly port: number },
	lifetime: Lifetime,
): Promise<{ readonly listener: Listener; readonly server: GatewayServer }> {
	const { clock, logger } = deps;
	const { payloadBytes, messagesPerMinute, maxConnections } = config;
	const server = new GatewayServer(
		{ ...deps, health, store, audit },
		{ limits: { payloadBytes, messagesPerMinute }, invitation: config.invitation ?? null, maxConnections },
	);
	const metrics = new Metrics(true);
	metrics.gauge("gateway_connected", "Meshes that are signed in", () => server.connected);
	metrics.gauge("gateway_queued", "Messages on disk for meshes that are away", () => server.queued);
	const listener = await Listener.open(
		{ clock, logger, tracer: deps.tracer },
		{
			role: "gateway",
			...(where.host === undefined ? {} : { host: where.host }),
			port: where.port,
			tls: tlsOf(config),
			hosts: config.hostname.length === 0 ? new AnyHost([]) : new HostTable([...config.hostname, "localhost"]),
			authenticator: adminAuthenticator(deps.adminTokenHashes, clock, "gateway"),
			trustedProxies: config.trustedProxy,
			limits: { maxConnections: maxConnections + 100 },
			routes: describedRoutes(
				[
					...server.routes(),
					{
						owner: "gateway",
						method: "GET",
						path: "/api/health",
						about: { summary: "Health, with its conditions" },
						credentials: ["none"],
						handle: () =>
							Response.json({ status: health.summary(), conditions: health.list() }, { headers: dataHeaders }),
					},
					auditRoute(audit),
					{
						owner: "gateway",
						method: "GET",
						path: "/metrics",
						about: { summary: "Metrics for Prometheus" },
						credentials: ["none"],
						handle: async () =>
							new Response(await metrics.text(), {
								headers: { ...dataHeaders, "content-type": "text/plain; version=0.0.4" },
							}),
					},
				],
				{ owner: "gateway", title: "Warren gateway", version },
			),
		},
	);
	lifetime.own(listener);
	// Before the listener, which would cut the sockets.
	lifetime.own(server);
	return { listener, server };
}

/** For its administrator alone: the original has none, and needs none. */
function auditRoute(audit: Audit): Route {
	return {
		owner: "gateway",
		method: "GET",
		path: "/admin/api/audit",
		credentials: ["admin"],
		about: { summary: "Who did what", query: auditQuery },
		handle: async ({ query }) => {
			const { limit, before, actor } = parseRequest(auditQuery, Object.fromEntries(query));
			const records = await audit.list({
				// Other roles may write into the same table.
				role: "gateway",
				limit,
				...(before === undefined ? {} : { before }),
				...(actor === undefined ? {} : { actor }),
			});
			return Response.json({ records }, { headers: dataHeaders });
		},
	};
}

function tlsOf(config: GatewayConfig): TlsIdentity | null {
	if (config.tlsCert === undefined || config.tlsKey === undefined) return null;
	return { cert: readFileSync(config.tlsCert, "utf8"), key: readFileSync(config.tlsKey, "utf8") };
}
