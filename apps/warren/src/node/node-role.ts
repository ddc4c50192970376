import { existsSync } from "node:fs";
import { isIPv4 } from "node:net";
import { homedir, platform } from "node:os";
import { fileURLToPath } from "node:url";
import { type AccessTables, accessRoutes, accessSchema, memberCredentials, NodeAccess } from "@warren/access";
import {
	type Clock,
	type Closeable,
	closeCodes,
	firstOf,
	HealthTable,
	type Identity,
	Lifetime,
	type Logger,
	newId,
	type Random,
} from "@warren/kernel";
import { canonicalHost, EventFeed, HostTable, Listener, Metrics, StaticFiles } from "@warren/net";
import {
	ManualPeers,
	PeerDirectory,
	PeerPools,
	type PeerTables,
	Pins,
	peerRoutes,
	peerSchema,
	TailscalePeers,
} from "@warren/peers";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";
import { TerminalService, type TerminalTables, terminalRoutes, terminalSchema } from "@warren/terminal";
import { publishConsole } from "../config/console-file.ts";
import { DataFolder } from "../config/data-folder.ts";
import { isLoopback, type NodeConfig, systemUser } from "../config/node-config.ts";
import { version } from "../version.ts";
import { openCertificates, ownAddresses, ownNames } from "./certificates.ts";
import { machineRoutes } from "./machine-routes.ts";
import { type NodeTables, nodeSchema, openNodeIdentity } from "./node-identity.ts";
import { uiRoutes } from "./ui-routes.ts";

type Tables = AccessTables & PeerTables & TerminalTables & AuditTable & NodeTables;

export interface NodeRoleDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
}

/** The one line of `--json`, and what the console prints. */
export interface NodeReady {
	readonly url: string;
	/** The same by an address of the local network, for phones that do not resolve this machine's name; null when there is none. */
	readonly lanUrl: string | null;
	/** SHA-256 of the certificate, for peers that pin it; null with plain HTTP. */
	readonly fingerprint: string | null;
	readonly caFingerprint: string | null;
	/** Null once a device is signed in. */
	readonly setupUrl: string | null;
	readonly data: string;
	readonly pid: number;
}

export interface NodeRole extends Closeable {
	readonly ready: NodeReady;
	/** User and PIN when they were made by this start: shown once. */
	readonly firstCredentials: { readonly user: string; readonly pin: string } | null;
	readonly listener: Listener;
}

/** A node: terminals, peers and relay, the web UI, behind one listener. Closes what it opened when it cannot start. */
export async function openNode(deps: NodeRoleDeps, config: NodeConfig): Promise<NodeRole> {
	const lifetime = new Lifetime();
	try {
		return await compose(deps, config, lifetime);
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

async function compose(deps: NodeRoleDeps, config: NodeConfig, lifetime: Lifetime): Promise<NodeRole> {
	const { clock, random, logger } = deps;
	const startedAt = clock.now();
	const data = lifetime.own(DataFolder.open(config.data));
	const health = new HealthTable(clock);
	const metrics = new Metrics(true);
	const { db } = lifetime.own(
		await openSqliteTables<Tables>(data.file("node.db"), [
			nodeSchema,
			accessSchema,
			peerSchema,
			terminalSchema,
			auditSchema,
		]),
	);
	const audit = new AuditLog(db, clock, logger);
	const identity = await openNodeIdentity(db, random, clock);

	const made = { user: config.user ?? systemUser(), pin: config.pin ?? newId(random, 10) };
	const access = await NodeAccess.open({ db, clock, random, audit }, { ...made, replace: config.pin !== undefined });
	const certificates = config.http ? null : await openCertificates(config, data, clock, random, health);

	const feed = new EventFeed();
	const terminal = lifetime.own(
		await TerminalService.open(
			{ clock, random, logger, health, audit, events: feed, db },
			{
				socketPath: data.file("tmux.sock"),
				environment: process.env,
				home: homedir(),
				userSockets: true,
				uid: process.getuid?.() ?? null,
				platform: platform(),
				maxUploadBytes: config.uploadLimitBytes,
			},
		),
	);
	health.watch(() => feed.publish({ type: "health" }));

	const hosts = new HostTable(ownNames(config));
	const tailscale = new TailscalePeers({
		command: config.tailscale,
		port: config.peerPort,
		user: systemUser(),
		// The name by which the tailnet's other machines, and people on them, call this one.
		onSelf: (name) => hosts.add(name),
	});
	const pins = await Pins.open(db, clock);
	const pools = lifetime.own(new PeerPools(pins));
	const self = () => ({ name: config.name, version, host: ownNames(config)[1] ?? "localhost", port: listener.port });
	const directory = await PeerDirectory.open({
		db,
		clock,
		pins,
		manual: new ManualPeers(db, clock),
		sources: [tailscale],
		isSelf: ({ host, port }) =>
			port === listener.port && (ownNames(config).includes(host) || ownAddresses().includes(host)),
	});

	const files = await loadUi(config, logger);
	const roles = () => [{ name: "node", state: "running", since: startedAt }];
	const listener: Listener = await Listener.open(
		{ clock, logger },
		{
			role: "node",
			...(config.host === undefined ? {} : { host: config.host }),
			port: config.port,
			tls: certificates?.tls ?? null,
			hosts,
			authenticator: firstOf(access, terminal.shares),
			trustedProxies: config.trustedProxy,
			routes: [
				...uiRoutes(files, () => ({
					app: "warren",
					version,
					name: config.name,
					roles: roles().map((role) => role.name),
				})),
				...accessRoutes(access),
				...peerRoutes({
					directory,
					pins,
					pools,
					clock,
					audit,
					credentials: memberCredentials,
					self,
					defaultPort: config.peerPort,
					onChange: () => feed.publish({ type: "peers" }),
				}),
				...terminalRoutes(terminal),
				feed.route("node", "/ws/~events", memberCredentials),
				...machineRoutes({
					health,
					audit,
					metrics,
					authority: certificates?.authority ?? null,
					status: () => ({
						node: {
							id: identity.id,
							name: config.name,
							version,
							startedAt,
							url: urlOf(config, listener),
							fingerprint: certificates?.fingerprint ?? null,
						},
						roles: roles(),
						listeners: [{ role: listener.role, host: listener.host, port: listener.port, secure: listener.secure }],
					}),
					describe: (who: Identity) => describe(who, config),
				}),
			],
		},
	);
	lifetime.own(listener);
	access.devices.onRevoked((id) => {
		terminal.endOwner(`device:${id}`);
		listener.disconnect(
			(who) => who.kind === "device" && who.deviceId === id,
			closeCodes.signIn,
			"this device was signed out",
		);
	});
	// Asked once now, so that the tailnet's name for this machine is known before anybody calls it by that.
	const stopping = new AbortController();
	lifetime.defer(() => stopping.abort());
	void tailscale.candidates(stopping.signal);
	metrics.gauge("websockets", "Open WebSockets of this node, relayed ones included.", () => listener.webSocketCount);

	const url = urlOf(config, listener);
	publishConsole(data, lifetime, {
		url,
		port: listener.port,
		secure: listener.secure,
		pid: process.pid,
		token: access.consoleToken,
	});
	const setupUrl =
		access.devices.count === 0 && config.pin === undefined ? `${url}/#setup=${await access.setup.make()}` : null;
	return {
		listener,
		firstCredentials: access.created && config.pin === undefined ? made : null,
		ready: {
			url,
			lanUrl: lanUrlOf(config, listener),
			fingerprint: certificates?.fingerprint ?? null,
			caFingerprint: certificates?.authority?.fingerprint ?? null,
			setupUrl,
			data: data.path,
			pid: process.pid,
		},
		close: () => lifetime.close(),
	};
}

/** The address to print: a name that the certificate has and that works from other machines, unless it listens on loopback only. */
function urlOf(config: NodeConfig, listener: Listener): string {
	const scheme = listener.secure ? "https" : "http";
	const bound = config.host === undefined ? undefined : canonicalHost(config.host);
	const host =
		bound === undefined || bound === "0.0.0.0" || bound === "::"
			? (config.hostname[0] ?? ownNames(config)[1] ?? "localhost")
			: isLoopback(bound)
				? "localhost"
				: bound;
	return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${listener.port}`;
}

function lanUrlOf(config: NodeConfig, listener: Listener): string | null {
	if (config.host !== undefined && isLoopback(config.host)) return null;
	const address = ownAddresses().find((each) => isIPv4(each) && !each.startsWith("127."));
	return address === undefined ? null : `${listener.secure ? "https" : "http"}://${address}:${listener.port}`;
}

function describe(who: Identity, config: NodeConfig): Record<string, unknown> {
	const node = { name: config.name, version };
	switch (who.kind) {
		case "device":
			return { kind: who.kind, name: who.name, deviceId: who.deviceId, node };
		case "share":
			return { kind: who.kind, name: "share", share: { session: who.resource, expiresAt: who.expiresAt }, node };
		default:
			return { kind: who.kind, name: "name" in who ? who.name : who.kind, node };
	}
}

/** Without a built UI the node still serves its API. */
async function loadUi(config: NodeConfig, logger: Logger): Promise<StaticFiles | null> {
	const folder = config.webFolder ?? fileURLToPath(new URL("../../../web/dist", import.meta.url));
	if (!existsSync(folder)) {
		logger.warn("the web interface is not built; the API works", { fix: "npm run build" });
		return null;
	}
	return StaticFiles.load(folder);
}
