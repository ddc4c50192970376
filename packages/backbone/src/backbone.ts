import {
	type Audit,
	type Authenticator,
	adminAuthenticator,
	type Clock,
	closeCodes,
	firstOf,
	type HealthTable,
	Lifetime,
	type Logger,
	messageOf,
	type Random,
	RateLimit,
	type Tracer,
} from "@warren/kernel";
import { describedRoutes, HostTable, Listener, Metrics, type Route } from "@warren/net";
import type { Bus, KeyValue } from "@warren/store";
import type { Kysely } from "kysely";
import { adminRoutes } from "./admin/admin-routes.ts";
import { principalRoutes } from "./admin/principal-routes.ts";
import { Changes } from "./changes.ts";
import { HopDialler } from "./cluster/hop-dialler.ts";
import { HopEndpoint } from "./cluster/hop-endpoint.ts";
import { PeerAgents } from "./cluster/peer-agents.ts";
import { Registry } from "./cluster/registry.ts";
import { RevocationWatch } from "./cluster/revocation-watch.ts";
import { UsedAssertions } from "./cluster/used-assertions.ts";
import { backboneError } from "./errors.ts";
import { Callers } from "./identity/callers.ts";
import { Principals } from "./identity/principals.ts";
import { type SigningKeyStore, SigningKeys } from "./identity/signing-keys.ts";
import { deriveHopKey } from "./protocol/hop-envelope.ts";
import type { BackboneTables } from "./schema.ts";
import type { Agent } from "./server/agents/agent.ts";
import { AgentPool } from "./server/agents/agent-pool.ts";
import { Certificates, type FrontTls } from "./server/certificates.ts";
import { Front, type FrontLimits, type Running } from "./server/front.ts";
import { Http2Front } from "./server/http2/http2-front.ts";
import { Inspector } from "./server/inspector.ts";
import { replayThrough } from "./server/replay.ts";
import { type ActiveService, Services } from "./server/services.ts";
import { StreamPorts } from "./server/stream-ports.ts";
import { TunnelEndpoint } from "./server/tunnel-endpoint.ts";
import { VisitorEndpoint } from "./server/visitor-endpoint.ts";

export interface BackboneDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly tracer?: Tracer | null | undefined;
	readonly db: Kysely<BackboneTables>;
	readonly audit: Audit;
	readonly health: HealthTable;
	readonly bus: Bus;
	readonly kv: KeyValue;
	/** Further ways of being the administrator (an owner's session); each yields kind `admin`. */
	readonly authenticators?: readonly Authenticator[];
}

/** Several nodes over the same tables, key-value and bus. */
export interface BackboneClusterOptions {
	/** Where the other nodes reach this one: scheme, host and port; null = where it listens, on this machine alone. */
	readonly url: string | null;
	/** PEM that the nodes' certificates chain to; null = what the system trusts. */
	readonly ca: string | null;
}

export interface BackboneOptions {
	/** Services are `<service>.<domain>`. */
	readonly domain: string;
	readonly host?: string;
	readonly port: number;
	readonly tls: FrontTls | null;
	/** By which the backbone itself is called, beside its domain. */
	readonly hosts: readonly string[];
	readonly trustedProxies: readonly string[];
	/** SHA-256, hex: any of these tokens is an administrator's. */
	readonly adminTokenHashes: readonly string[];
	/** A secret. */
	readonly masterSecret: string;
	/** Of `x-mosb-jwt`. */
	readonly signingKeys: SigningKeyStore;
	readonly nodeId: string;
	/** Null or absent = the only node. */
	readonly cluster?: BackboneClusterOptions | null;
	/** New principals wait for an administrator. */
	readonly approval: boolean;
	/** Ports for TCP and UDP services; [0, 0] = any free ones. */
	readonly streamPorts: readonly [number, number];
	/** As clients write it, when a proxy in front has another scheme or port. */
	readonly publicUrl?: string;
	/** As the description of its API says. */
	readonly version?: string;
	readonly limits?: Partial<FrontLimits>;
}

export interface Backbone {
	readonly port: number;
	readonly url: string;
	readonly services: Services;
	readonly principals: Principals;
	/** What clients are shown, by name; null = plain HTTP. */
	readonly certificates: Certificates | null;
	/** Of its own API. */
	readonly routes: readonly Route[];
	/** Nodes of the cluster that stand now, without this one. */
	otherNodes(): readonly string[];
	/** Drains: agents are told to go elsewhere, requests finish. Safe to call twice. */
	close(): Promise<void>;
}

/** Of one service's agents, each coming and leaving. */
const auditedComings = { perSecond: 1 / 60, burst: 20, maxKeys: 10_000 };

/** The whole backbone in this process: API, public side, agents. */
export async function openBackbone(deps: BackboneDeps, options: BackboneOptions): Promise<Backbone> {
	const { clock, random, logger, db, audit, health } = deps;
	const lifetime = new Lifetime();
	try {
		const changes = new Changes(deps.bus);
		const services = lifetime.own(
			await Services.open(db, clock, random, changes, (fault) =>
				logger.warn("a service's change could not be read yet", { fault: messageOf(fault) }),
			),
		);
		const principals = new Principals(db, clock, options.masterSecret, changes);
		const signer = lifetime.own(
			new SigningKeys(clock, options.signingKeys, {
				changed: () => changes.tell({ of: "keys" }),
				fault: (thrown) => logger.warn("the signing keys could not be looked at", { fault: messageOf(thrown) }),
			}),
		);
		const reloadKeys = () =>
			void signer
				.reload()
				.catch((fault: unknown) => logger.warn("the new signing key is not known yet", { fault: messageOf(fault) }));
		lifetime.own(changes.hear(({ of }) => (of === "keys" ? reloadKeys() : undefined)));
		lifetime.own(changes.onResumed(reloadKeys));
		signer.start();
		const inspector = new Inspector(clock, random, (service) => services.get(service)?.settings.inspect === true);
		lifetime.own(services.watch((name) => inspector.settled(name)));
		const metrics = new Metrics(true);
		const certificates = options.tls === null ? null : new Certificates(clock, options.tls);
		let front: Front;
		let registry: Registry | null = null;
		const comings = new RateLimit(clock, auditedComings);
		const pool = new AgentPool(
			() => clock.monotonic(),
			(service, agent: Agent, gone) => {
				if (agent.isPeer) return;
				if (!gone && agent.name !== "") changes.tell({ of: "agent", service, name: agent.name, id: agent.id });
				registry?.changed(service, agent.id);
				logger.info(gone ? "agent left" : "agent came", { service, agent: agent.id, address: agent.address });
				// One that comes and goes all the time must not fill the audit.
				if (comings.take(service) > 0) return;
				deps.audit.record({
					actor: `service:${service}`,
					action: gone ? "backbone.agent.leave" : "backbone.agent.come",
					target: agent.name === "" ? agent.id : agent.name,
					outcome: "ok",
					address: agent.address,
				});
			},
		);
		const ports = new StreamPorts(
			{ clock, logger, health, services, pool, front: () => front, tracer: deps.tracer ?? null },
			options.host,
			options.streamPorts,
		);
		let base = options.publicUrl ?? "";
		const urlOf = async (service: ActiveService) => {
			await ports.ready(service.name);
			const port = ports.portOf(service.name);
			const own = new URL(base);
			if (service.kind === "tcp" || service.kind === "udp")
				return port === null ? `${service.kind}://${service.name}` : `${service.kind}://${own.hostname}:${port}`;
			if (port !== null) return `${own.protocol}//${own.hostname}:${port}`;
			return `${own.protocol}//${service.name}.${options.domain}${own.port === "" ? "" : `:${own.port}`}`;
		};
		const cluster = options.cluster ?? null;
		const once = cluster === null ? null : new UsedAssertions(db, clock);
		const callers = lifetime.own(
			new Callers({ principals, signer, changes, clock, once }, options.publicUrl ?? `https://${options.domain}`),
		);
		const hosts = new HostTable([options.domain, ...options.hosts]);
		const endpoint = new TunnelEndpoint({ clock, logger, services, pool, urlOf, isDraining: () => front.draining });
		const visitors = new VisitorEndpoint({
			...{ clock, logger, services, pool, callers },
			tracer: deps.tracer ?? null,
		});
		const hopKey = deriveHopKey(options.masterSecret);
		const hops = new HopEndpoint({
			...{ clock, random, pool, key: hopKey },
			self: () => (cluster === null ? null : (registry?.self ?? null)),
			isDraining: () => front.draining,
			tracer: deps.tracer ?? null,
		});
		lifetime.own(hops);
		const http2 = new Http2Front({ front: () => front, endpoint, logger });
		const replay = (service: ActiveService, id: string) => {
			const kept = inspector.find(service.name, id);
			if (kept === null) throw backboneError("unknown_request", `There is no recorded request "${id.slice(0, 40)}".`);
			if (!kept.record.replayable) throw backboneError("conflict", "Its body was too long to be kept.");
			return replayThrough(front, service, kept);
		};
		const listener = Listener.detached(
			{ clock, logger, tracer: deps.tracer },
			{
				role: "backbone",
				hosts,
				trustedProxies: options.trustedProxies,
				authenticator: firstOf(
					...(deps.authenticators ?? []),
					adminAuthenticator(options.adminTokenHashes, clock, "backbone"),
				),
				routes: describedRoutes(
					[
						...principalRoutes({
							clock,
							audit,
							principals,
							callers,
							services,
							signer,
							urlOf,
							approval: options.approval,
							domain: options.domain,
							get baseUrl() {
								return base;
							},
							landing: true,
							health: () => (front.draining ? "draining" : health.summary() === "error" ? "error" : "ok"),
						}),
						...adminRoutes({
							audit,
							principals,
							services,
							pool,
							front: () => front,
							inspector,
							metrics,
							urlOf,
							checkPort: (service, port) => ports.check(service, port),
							cluster: async () => ({ ...registry?.cluster(), conditions: health.list() }),
							agentsElsewhere: (service) => registry?.agentsElsewhere(service) ?? [],
							replay,
							health,
							signer,
							domain: options.domain,
						}),
					],
					{ owner: "backbone", title: "Warren backbone", version: options.version ?? "0" },
				),
			},
		);
		front = new Front(
			{
				clock,
				logger,
				services,
				callers,
				pool,
				inspector,
				listener,
				tracer: deps.tracer ?? null,
				upgrade: (socket, head, rest) =>
					endpoint.upgrade(socket, head, rest, front.addressOf(socket)) ||
					visitors.upgrade(socket, head, rest, front.addressOf(socket)) ||
					(cluster !== null && hops.upgrade(socket, head, rest)),
				http2,
			},
			{
				domain: options.domain,
				hosts,
				trustedProxies: options.trustedProxies,
				certificates,
				...(options.limits === undefined ? {} : { limits: options.limits }),
			},
		);
		lifetime.own(front);
		lifetime.defer(() => listener.close());
		const disconnect = (matches: (running: Running) => boolean) => {
			front.disconnect(matches);
			http2.disconnect(matches);
			visitors.disconnect(matches);
		};
		/** Again in a moment: whoever was judged just before runs by then. */
		const cut = (matches: (running: Running) => boolean) => {
			disconnect(matches);
			setImmediate(() => disconnect(matches));
		};
		const running = function* (): Iterable<Running> {
			yield* front.running();
			yield* http2.running();
			yield* visitors.running();
		};
		lifetime.own(
			changes.hear((change) => {
				// A token that is gone ends its agents, a service its connections.
				if (change.of === "token")
					pool.disconnect((_service, agent) => agent.tokenId === change.id, 4401, "the service token was revoked");
				else if (change.of === "service" && services.get(change.name) === null)
					pool.disconnect((service) => service === change.name, 4404, "the service was taken away");
				else if (change.of === "agent") pool.replace(change.service, change.name, change.id);
				else if (change.of === "principal" && change.ends !== null) {
					const { service } = change.ends;
					cut((each) => each.principalId === change.id && (service === null || each.service === service));
				}
			}),
		);
		lifetime.own(
			services.watch((name) => {
				const service = services.get(name);
				// What may no longer begin must not go on either.
				cut(
					(each) =>
						each.service === name &&
						(service === null ||
							!service.admits(each.address) ||
							(service.settings.requireIdentity === true && each.principalId === null)),
				);
			}),
		);
		measure(metrics, front);
		const opened = await front.listen(options.host, options.port);
		if (base === "") base = `${options.tls === null ? "http" : "https"}://${options.domain}:${opened.port}`;
		const own = () =>
			[...pool.services()].flatMap(({ service, own: agents }) => agents.map((agent) => leaseOf(service, agent)));
		const ownOf = (service: string, id: string) => {
			const agent = pool.of(service).own.find((each) => each.id === id);
			return agent === undefined ? undefined : leaseOf(service, agent);
		};
		const superseded = () => pool.goAway(closeCodes.draining, "another process has taken this node's name");
		registry = new Registry(
			{ ...{ kv: deps.kv, bus: deps.bus, clock, random, logger, health }, own, ownOf, superseded },
			options.nodeId,
			cluster === null ? null : (cluster.url ?? localUrl(options, opened.port)),
		);
		await registry.open();
		if (cluster !== null) {
			const from = options.nodeId;
			const dialler = new HopDialler({ random, key: hopKey, from, domain: options.domain, ca: cluster.ca });
			new PeerAgents({ pool, registry, dialler, clock, logger });
			lifetime.own(
				new RevocationWatch({ clock, logger, health, changes, principals, services, pool, running, disconnect }),
			);
		}
		await ports.open();
		lifetime.own(ports);
		lifetime.defer(() => http2.close());
		lifetime.defer(() => {
			front.draining = true;
			hops.drain();
			pool.goAway(1012, "the server is stopping");
			http2.drain();
		});
		// Before all else: whoever else has clients for our agents looks elsewhere.
		lifetime.own(registry);
		return {
			port: opened.port,
			url: base,
			services,
			principals,
			certificates,
			routes: listener.routes(),
			otherNodes: () => registry?.others ?? [],
			close: () => lifetime.close(),
		};
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

function leaseOf(service: string, agent: Agent) {
	return { service, agent: agent.id, name: agent.name, links: agent.links.size };
}

/** On this machine alone: instances behind one balancer. */
function localUrl({ tls, host }: BackboneOptions, port: number): string {
	return `${tls === null ? "http" : "https"}://${host?.includes(":") === true ? `[${host}]` : (host ?? "127.0.0.1")}:${port}`;
}

function measure(metrics: Metrics, front: Front): void {
	metrics.gauge("backbone_connections", "Connections of clients now.", () => front.connectionCount);
	metrics.gauge("backbone_received_bytes", "Bytes from clients to services since the start.", () => front.bytesIn);
	metrics.gauge("backbone_sent_bytes", "Bytes from services to clients since the start.", () => front.bytesOut);
	metrics.gauge("backbone_agents", "Agents connected now.", () =>
		[...front.pool.services()].reduce((sum, { own }) => sum + own.length, 0),
	);
	metrics.gauge("backbone_links", "Links of agents now.", () =>
		[...front.pool.services()].reduce(
			(sum, { agents }) => sum + agents.reduce((each, agent) => each + agent.links.size, 0),
			0,
		),
	);
	metrics.gauges("backbone_requests", "Requests since the start, by service and outcome.", ["service", "outcome"], () =>
		[...front.counts].flatMap(([service, { requests, errors, refused }]) => [
			{ labels: { service, outcome: "ok" }, value: requests - errors - refused },
			{ labels: { service, outcome: "error" }, value: errors },
			{ labels: { service, outcome: "refused" }, value: refused },
		]),
	);
}
