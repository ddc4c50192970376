import { readFileSync } from "node:fs";
import {
	GatewayServer,
	type GatewayStore,
	type GatewayTables,
	gatewaySchema,
	openPostgresGatewayStore,
	openSqliteGatewayStore,
} from "@warren/gateway";
import { type Clock, firstOf, HealthTable, Lifetime, type Logger, type Random, type Tracer } from "@warren/kernel";
import { dataHeaders, HostTable, Listener, Metrics, type TlsIdentity } from "@warren/net";
import { openSqliteTables } from "@warren/store";
import { openLedRole } from "../cluster/led-role.ts";
import type { DatabaseConfig } from "../config/cluster-config.ts";
import { DataFolder } from "../config/data-folder.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";

export interface GatewayDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly tracer?: Tracer | null | undefined;
}

/** The one line of `--json`. */
export interface GatewayReady {
	readonly url: string;
	readonly data: string;
	readonly pid: number;
	/** Whether anybody may register. */
	readonly open: boolean;
}

export interface GatewayRole {
	readonly ready: GatewayReady;
	/** Tells everybody to come back, keeps what is under way, closes. */
	close(): Promise<void>;
}

/** Behind proxies and in containers a gateway has names that it cannot know; it holds nothing that a page could borrow. */
class AnyHost extends HostTable {
	override accepts(): boolean {
		return true;
	}
}

/** A gateway alone, or one of several. Closes what it opened when it cannot start. */
export async function openGateway(deps: GatewayDeps, config: GatewayConfig): Promise<GatewayRole> {
	const lifetime = new Lifetime();
	try {
		const data = lifetime.own(DataFolder.open(config.data));
		const port =
			config.shared === null
				? await openAlone(deps, config, data, lifetime)
				: await openLed(deps, config, config.shared, lifetime);
		const scheme = config.tlsCert === undefined ? "http" : "https";
		const host = config.hostname[0] ?? (config.host === undefined ? "localhost" : config.host);
		return {
			ready: {
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
): Promise<number> {
	const tables = lifetime.own(await openSqliteTables<GatewayTables>(data.file("gateway.db"), [gatewaySchema]));
	const store = openSqliteGatewayStore(tables.statements, deps.logger);
	const { listener } = await serve(deps, config, store, { host: config.host, port: config.port }, lifetime);
	return listener.port;
}

async function openLed(
	deps: GatewayDeps,
	config: GatewayConfig,
	shared: DatabaseConfig,
	lifetime: Lifetime,
): Promise<number> {
	const role = "gateway";
	const led = await openLedRole<GatewayTables>(deps, {
		role,
		host: config.host,
		port: config.port,
		shared,
		schemas: [gatewaySchema],
		maxConnections: config.maxConnections + 100,
		serve: async ({ db }, epoch, own) => {
			const store = await openPostgresGatewayStore(db, role, epoch, deps.logger);
			const { listener, server } = await serve(deps, config, store, { host: "127.0.0.1", port: 0 }, own);
			return { listener, close: () => server.close() };
		},
	});
	lifetime.own(led);
	return led.port;
}

async function serve(
	deps: GatewayDeps,
	config: GatewayConfig,
	store: GatewayStore,
	where: { readonly host: string | undefined; readonly port: number },
	lifetime: Lifetime,
): Promise<{ readonly listener: Listener; readonly server: GatewayServer }> {
	const { clock, logger } = deps;
	const health = new HealthTable(clock);
	const { payloadBytes, messagesPerMinute, maxConnections } = config;
	const server = new GatewayServer(
		{ ...deps, health, store },
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
			authenticator: firstOf(),
			trustedProxies: config.trustedProxy,
			limits: { maxConnections: maxConnections + 100 },
			routes: [
				...server.routes(),
				{
					owner: "gateway",
					method: "GET",
					path: "/api/health",
					credentials: ["none"],
					handle: () =>
						Response.json({ status: health.summary(), conditions: health.list() }, { headers: dataHeaders }),
				},
				{
					owner: "gateway",
					method: "GET",
					path: "/metrics",
					credentials: ["none"],
					handle: async () =>
						new Response(await metrics.text(), {
							headers: { ...dataHeaders, "content-type": "text/plain; version=0.0.4" },
						}),
				},
			],
		},
	);
	lifetime.own(listener);
	// Before the listener, which would cut the sockets.
	lifetime.own(server);
	return { listener, server };
}

function tlsOf(config: GatewayConfig): TlsIdentity | null {
	if (config.tlsCert === undefined || config.tlsKey === undefined) return null;
	return { cert: readFileSync(config.tlsCert, "utf8"), key: readFileSync(config.tlsKey, "utf8") };
}
