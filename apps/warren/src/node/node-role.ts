import { existsSync } from "node:fs";
import { homedir, platform } from "node:os";
import type { Duplex } from "node:stream";
import {
	type AccessTables,
	accessRoutes,
	accessSchema,
	byPin,
	memberCredentials,
	NodeAccess,
	SetupLink,
} from "@warren/access";
import { type EnrolledTables, enrolledSchema } from "@warren/accounts";
import {
	type Clock,
	type Closeable,
	type CredentialKind,
	closeCodes,
	type Fingerprint,
	firstOf,
	HealthTable,
	type Identity,
	Lifetime,
	type Logger,
	newId,
	newSecret,
	type PeerSource,
	type PeerTunnel,
	type Random,
	type Tracer,
} from "@warren/kernel";
import { describedRoutes, EventFeed, HostTable, Listener, Metrics, StaticFiles } from "@warren/net";
import {
	ManualPeers,
	PeerDirectory,
	PeerPools,
	type PeerRoutes,
	type PeerTables,
	Pins,
	peerRoutes,
	peerSchema,
	TailscalePeers,
} from "@warren/peers";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";
import { TerminalService, type TerminalTables, terminalRoutes, terminalSchema } from "@warren/terminal";
import type { Kysely } from "kysely";
import { publishConsole } from "../config/console-file.ts";
import { DataFolder } from "../config/data-folder.ts";
import { FreeSpace } from "../config/free-space.ts";
import { type NodeConfig, systemUser } from "../config/node-config.ts";
import { localHost } from "../config/server-config.ts";
import { measureHealth } from "../health-metrics.ts";
import { openMemberPart } from "../hub/member-part.ts";
import { readMembership } from "../hub/membership.ts";
import { OverlayView } from "../overlay/overlay-view.ts";
import { builtWebFolder } from "../own-files.ts";
import { version } from "../version.ts";
import { openCertificates, ownAddresses, ownNames } from "./certificates.ts";
import { MachineName } from "./machine-name.ts";
import { machineRoutes } from "./machine-routes.ts";
import { type NodeTables, nodeSchema, openNodeIdentity } from "./node-identity.ts";
import { choosePort, dialledHosts, lanUrlOf, urlOf } from "./node-names.ts";
import { renewOwnLeaf } from "./own-leaf.ts";
import type { NodeBase, OpenPart, RolePart, RoleRow } from "./role-part.ts";
import { uiRoutes } from "./ui-routes.ts";

type Tables = AccessTables & PeerTables & TerminalTables & AuditTable & NodeTables & EnrolledTables;

export interface NodeRoleDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly tracer?: Tracer | null | undefined;
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

/** What runs beside the node in its process. */
export interface NodeParts {
	/** On a machine that joined no other's warren. */
	readonly first?: readonly OpenPart[];
	/** On every machine. */
	readonly always?: readonly OpenPart[];
}

/** A node: terminals, peers and relay, the web UI, behind one listener. Closes what it opened when it cannot start. */
export async function openNode(deps: NodeRoleDeps, config: NodeConfig, beside: NodeParts = {}): Promise<NodeRole> {
	const lifetime = new Lifetime();
	try {
		return await compose(deps, config, beside, lifetime);
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

async function compose(
	deps: NodeRoleDeps,
	given: NodeConfig,
	beside: NodeParts,
	lifetime: Lifetime,
): Promise<NodeRole> {
	const { clock, random, logger } = deps;
	const startedAt = clock.now();
	const data = lifetime.own(DataFolder.open(given.data));
	const name = new MachineName(data, given.name);
	const config = name.within(given);
	const membership = readMembership(data);
	const health = new HealthTable(clock);
	const metrics = new Metrics(true);
	measureHealth(metrics, health);
	lifetime.own(await new FreeSpace({ clock, health }, data.path).start());
	const { db } = lifetime.own(
		await openSqliteTables<Tables>(data.file("node.db"), [
			nodeSchema,
			accessSchema,
			peerSchema,
			terminalSchema,
			enrolledSchema,
			auditSchema,
		]),
	);
	const { id: nodeId } = await openNodeIdentity(db, random, clock, membership?.nodeId ?? null);
	const feed = new EventFeed();
	const onRecorded = () => feed.publish({ type: "audit" });
	const audit = new AuditLog(db, clock, logger, { role: "node", onRecorded });
	health.watch(() => feed.publish({ type: "health" }));

	const made = { user: config.user ?? systemUser(), pin: config.pin ?? newId(random, 10) };
	const access = await NodeAccess.open({ db, clock, random, audit }, { ...made, replace: config.pin !== undefined });
	const hubSetup = new SetupLink(db, clock, random, "hub");
	const certificates = config.http ? null : await openCertificates(config, data, clock, random, health, nodeId);
	const port = await choosePort(config);

	const base: NodeBase = {
		...{
			clock,
			random,
			logger,
			tracer: deps.tracer,
			lifetime,
			data,
			health,
			audit,
			metrics,
			feed,
			access,
			hubSetup,
			nodeId,
			port,
			db,
		},
		authority: certificates?.authority ?? null,
		shown: { fingerprint: certificates?.fingerprint ?? null },
		urls: [urlOf(config, port)],
		hosts: () => dialledHosts(config),
	};
	const parts: RolePart[] = [];
	const own = membership === null ? (beside.first ?? []) : [openMemberPart(membership)];
	for (const openPart of [...own, ...(beside.always ?? [])]) parts.push(await openPart(base, config));
	const members: readonly CredentialKind[] = [...memberCredentials, ...parts.flatMap((part) => part.members ?? [])];

	const hosts = new HostTable(ownNames(config));
	const terminal = lifetime.own(await openTerminals(base, db, config));
	const peers = await openPeers(
		base,
		hosts,
		db,
		config,
		certificates?.ca?.certPem ?? null,
		parts.flatMap((part) => part.peerSources),
		parts.find((part) => part.tunnel !== undefined)?.tunnel ?? null,
	);
	const files = await loadUi(config, logger);
	const running = (name: string): RoleRow => ({ name, state: "running", since: startedAt });
	const roles = () => [running("node"), ...parts.flatMap((part) => part.roles?.() ?? [running(part.name)])];
	const cookieName = parts.find((part) => part.cookieName !== undefined)?.cookieName;
	const url = urlOf(config, port);
	const listener: Listener = await Listener.open(
		{ clock, logger, tracer: deps.tracer },
		{
			role: "node",
			...(config.host === undefined ? {} : { host: config.host }),
			port,
			tls: certificates?.tls ?? null,
			hosts,
			authenticator: firstOf(access, terminal.shares, ...parts.flatMap((part) => part.authenticators)),
			trustedProxies: config.trustedProxy,
			...(cookieName === undefined ? {} : { cookieName }),
			routes: describedRoutes(
				[
					...uiRoutes(files, () => ({
						app: "warren",
						version,
						name: config.name,
						roles: roles().map((role) => role.name),
					})),
					...accessRoutes(access),
					...peers.routes,
					...terminalRoutes(terminal),
					feed.route("node", "/ws/~events", members),
					name.route(base),
					...machineRoutes({
						health,
						audit,
						metrics,
						ca: certificates?.ca ?? null,
						status: () => ({
							node: {
								id: nodeId,
								name: config.name,
								version,
								startedAt,
								url,
								fingerprint: base.shown.fingerprint,
							},
							roles: roles(),
							paths: peers.paths(),
							listeners: [{ role: listener.role, host: listener.host, port: listener.port, secure: listener.secure }],
						}),
						describe: (who: Identity) => describe(who, config),
					}),
					...parts.flatMap((part) => part.routes),
				],
				{ owner: "node", title: "Warren node", version },
			),
		},
	);
	lifetime.own(listener);
	if (base.authority !== null) {
		const { authority, shown } = base;
		const onRenewed = (fingerprint: Fingerprint) => {
			shown.fingerprint = fingerprint;
		};
		const renewal = renewOwnLeaf(base, listener, { config, authority, nodeId, onRenewed });
		if (renewal !== null) lifetime.own(renewal);
	}
	for (const part of parts) {
		part.listening?.(listener);
		if (part.drain !== undefined) lifetime.defer(part.drain);
	}
	access.devices.onRevoked((id) => {
		terminal.endOwner(`device:${id}`);
		listener.disconnect(
			(who) => who.kind === "device" && who.deviceId === id,
			closeCodes.signIn,
			"this device was signed out",
		);
	});
	access.owner.onChanged((before) => {
		terminal.endOwner(`operator:${before}`, closeCodes.signIn, "the PIN was changed");
		listener.disconnect(byPin, closeCodes.signIn, "the PIN was changed");
	});
	metrics.gauge("websockets", "Open WebSockets of this node, relayed ones included.", () => listener.webSocketCount);
	publishConsole(data, lifetime, {
		...{ url, host: localHost(config.host), port, secure: listener.secure },
		...{ ca: certificates?.ca?.certPem ?? null, pid: process.pid, token: access.consoleToken },
	});
	return {
		listener,
		firstCredentials: access.created && config.pin === undefined ? made : null,
		ready: {
			url,
			lanUrl: lanUrlOf(config, port),
			fingerprint: certificates?.fingerprint ?? null,
			caFingerprint: certificates?.ca?.fingerprint ?? null,
			setupUrl: await setupUrlOf(base, config, url, parts),
			data: data.path,
			pid: process.pid,
		},
		close: () => lifetime.close(),
	};
}

function openTerminals(base: NodeBase, db: Kysely<Tables>, config: NodeConfig): Promise<TerminalService> {
	const { clock, random, logger, health, audit, feed } = base;
	return TerminalService.open(
		{ clock, random, logger, health, audit, events: feed, db },
		{
			socketPath: base.data.file("tmux.sock"),
			environment: process.env,
			home: homedir(),
			userSockets: true,
			uid: process.getuid?.() ?? null,
			platform: platform(),
			maxUploadBytes: config.uploadLimitBytes,
		},
	);
}

async function openPeers(
	base: NodeBase,
	hosts: HostTable,
	db: Kysely<Tables>,
	config: NodeConfig,
	ca: string | null,
	sources: readonly PeerSource[],
	tunnel: PeerTunnel<Duplex> | null,
): Promise<PeerRoutes> {
	const { clock, audit, port, lifetime } = base;
	const tailscale = new TailscalePeers({
		command: config.tailscale,
		port: config.peerPort,
		user: systemUser(),
		// The name by which the tailnet's other machines, and people on them, call this one.
		onSelf: (name) => hosts.add(name),
	});
	// Asked once now, so that it is known before anybody calls by it.
	const stopping = new AbortController();
	lifetime.defer(() => stopping.abort());
	void tailscale.candidates(stopping.signal);
	const pins = await Pins.open(db, clock);
	const overlay = new OverlayView(base);
	const directory = await PeerDirectory.open({
		db,
		clock,
		pins,
		ca,
		tunnel,
		laneOf: (address) => overlay.laneOf(address),
		manual: new ManualPeers(db, clock),
		sources: [...sources, tailscale],
		isSelf: (address) =>
			address.port === port && (ownNames(config).includes(address.host) || ownAddresses().includes(address.host)),
	});
	const pools = lifetime.own(new PeerPools(directory.dialer));
	return peerRoutes({
		directory,
		pins,
		pools,
		clock,
		logger: base.logger,
		lifetime,
		audit,
		credentials: memberCredentials,
		self: () => ({ name: config.name, version, host: ownNames(config)[1] ?? "localhost", port }),
		defaultPort: config.peerPort,
		onChange: () => base.feed.publish({ type: "peers" }),
	});
}

/**
 * A link while nobody is signed in: one secret, good once at the node and once at the hub beside it. A node that is set
 * up already, with a hub that has no owner yet, gets one for the hub's door alone.
 */
async function setupUrlOf(
	{ access, hubSetup, random }: NodeBase,
	config: NodeConfig,
	url: string,
	parts: readonly RolePart[],
): Promise<string | null> {
	if (access.devices.count === 0 && config.pin === undefined) {
		const secret = await access.setup.make();
		await hubSetup.make(secret);
		return `${url}/#setup=${secret}`;
	}
	for (const part of parts) {
		if ((await part.hasOwner?.()) !== false) continue;
		const secret = newSecret(random);
		await hubSetup.make(secret);
		return `${url}/#account=${secret}`;
	}
	return null;
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
	const folder = config.webFolder ?? builtWebFolder;
	if (!existsSync(folder)) {
		logger.warn("the web interface is not built; the API works", { fix: "npm run build" });
		return null;
	}
	return StaticFiles.load(folder);
}
