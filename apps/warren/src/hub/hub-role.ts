import { HubSetup } from "@warren/accounts";
import { type Closeable, type Fingerprint, firstOf, HealthTable, Lifetime, newId } from "@warren/kernel";
import { describedRoutes, HostTable, Listener, Metrics } from "@warren/net";
import { AuditLog } from "@warren/store";
import type { RoleDeps } from "../cli/run-role.ts";
import { publishConsole } from "../config/console-file.ts";
import { DataFolder } from "../config/data-folder.ts";
import { FreeSpace } from "../config/free-space.ts";
import type { HubConfig } from "../config/hub-config.ts";
import { localHost } from "../config/server-config.ts";
import { refuseLeft } from "../migrate/left-database.ts";
import { openCertificates, ownNames } from "../node/certificates.ts";
import { machineRoutes } from "../node/machine-routes.ts";
import { choosePort, dialledHosts, lanUrlOf, urlOf } from "../node/node-names.ts";
import { renewOwnLeaf } from "../node/own-leaf.ts";
import type { RoleBase } from "../role-base.ts";
import { version } from "../version.ts";
import { checkAuthority, openClusterTables } from "./cluster.ts";
import { ConsoleAccess } from "./console-access.ts";
import { discoveryRoute } from "./discovery-route.ts";
import { openHubServices, openHubTables } from "./hub-services.ts";

/** The one line of `--json`. */
export interface HubReady {
	readonly url: string;
	/** The same by an address of the local network; null when there is none. */
	readonly lanUrl: string | null;
	readonly fingerprint: string | null;
	readonly caFingerprint: string | null;
	/** Null once there is an owner. */
	readonly setupUrl: string | null;
	readonly data: string;
	readonly pid: number;
}

export interface HubRole extends Closeable {
	readonly ready: HubReady;
	readonly listener: Listener;
}

/** A hub alone: accounts, machines, documents and discovery on one origin. Closes what it opened when it cannot start. */
export async function openHub(deps: RoleDeps, config: HubConfig): Promise<HubRole> {
	const lifetime = new Lifetime();
	try {
		return await compose(deps, config, lifetime);
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

async function compose(deps: RoleDeps, config: HubConfig, lifetime: Lifetime): Promise<HubRole> {
	const { random, logger } = deps;
	const data = lifetime.own(DataFolder.open(config.data));
	const health = new HealthTable(deps.clock);
	lifetime.own(await new FreeSpace({ clock: deps.clock, health }, data.path).start());
	const metrics = new Metrics(true);
	const opening = { ...deps, lifetime, data, health, metrics };
	const usesOwnCa = !config.http && config.tlsCert === undefined;
	const tables =
		config.cluster === null
			? await openHubTables(opening)
			: await openClusterTables(opening, config.cluster, usesOwnCa);
	const clock = "cluster" in tables ? tables.cluster.clock : deps.clock;
	const startedAt = clock.now();
	const audit = new AuditLog(tables.db, clock, logger, { role: "hub" });
	const base: RoleBase = { ...opening, clock, audit };
	const certificates = config.http ? null : await openCertificates(config, data, clock, random, health);
	if ("cluster" in tables) await refuseLeft(tables.db, "hub");
	if ("cluster" in tables) await checkAuthority(tables, certificates?.authority?.fingerprint ?? null);
	const port = await choosePort(config);
	const authority = certificates?.authority ?? null;
	let fingerprint = certificates?.fingerprint ?? null;
	const own = urlOf(config, port);
	const url = config.publicUrl ?? own;
	const setup = new HubSetup(tables.db, clock, random);
	const hub = await openHubServices(base, tables, {
		authority,
		fingerprint: () => fingerprint,
		name: config.name,
		urls: [...new Set([url, own])],
		hosts: () => dialledHosts(config),
		port,
		installId: installId(base),
		setup,
		workspaces: config.workspaces,
		ai: config.ai,
		social: config.social,
	});
	const { accounts } = hub;
	const console = new ConsoleAccess(random);
	const roles = () => [{ name: "hub", state: "running", since: startedAt }];
	const listener: Listener = await Listener.open(
		{ clock, logger, tracer: deps.tracer },
		{
			role: "hub",
			...(config.host === undefined ? {} : { host: config.host }),
			port,
			tls: certificates?.tls ?? null,
			hosts: new HostTable([...ownNames(config), ...(config.publicUrl === undefined ? [] : [new URL(url).hostname])]),
			authenticator: firstOf(accounts.authenticator, console),
			trustedProxies: config.trustedProxy,
			cookieName: accounts.sessionCookieName,
			routes: describedRoutes(
				[
					discoveryRoute(
						"hub",
						{
							name: config.name,
							capabilities: ["accounts", "sync", "ai", ...(config.workspaces ? ["workspace"] : [])],
						},
						"/admin",
					),
					...hub.routes,
					...machineRoutes({
						owner: "hub",
						credentials: ["admin", "session"],
						health,
						audit,
						metrics,
						ca: certificates?.ca ?? null,
						status: () => ({
							node: {
								id: null,
								name: config.name,
								version,
								startedAt,
								url,
								fingerprint,
							},
							roles: roles(),
							listeners: [{ role: listener.role, host: listener.host, port: listener.port, secure: listener.secure }],
						}),
					}),
				],
				{ owner: "hub", title: "Warren hub", version },
			),
		},
	);
	lifetime.own(listener);
	hub.listening(listener);
	if (authority !== null) {
		const onRenewed = (next: Fingerprint) => {
			fingerprint = next;
		};
		const renewal = renewOwnLeaf(base, listener, { config, authority, onRenewed });
		if (renewal !== null) lifetime.own(renewal);
	}
	lifetime.defer(hub.drain);
	metrics.gauge("websockets", "Open WebSockets of this hub.", () => listener.webSocketCount);
	publishConsole(data, lifetime, {
		...{ url: own, host: localHost(config.host), port, secure: listener.secure },
		...{ ca: certificates?.ca?.certPem ?? null, pid: process.pid, token: console.token },
	});
	return {
		listener,
		ready: {
			url,
			lanUrl: lanUrlOf(config, port),
			fingerprint,
			caFingerprint: certificates?.ca?.fingerprint ?? null,
			setupUrl: (await accounts.hasOwner()) ? null : `${url}/#setup=${await setup.make()}`,
			data: data.path,
			pid: process.pid,
		},
		close: () => lifetime.close(),
	};
}

/** Tells this installation from others on the same host: its cookies bear it. */
function installId({ data, random }: RoleBase): string {
	const kept = data.read("hub.id");
	if (kept !== null) return kept.trim();
	const made = newId(random);
	data.write(`${made}\n`, "hub.id");
	return made;
}
