import {
	type Authenticator,
	type ConditionKind,
	type CredentialKind,
	messageOf,
	type WarrenError,
} from "@warren/kernel";
import { describedRoutes, HostTable, Listener, type Route } from "@warren/net";
import { type DocumentHistory, type DocumentsList, type RoomAccess, type SyncRelay, syncRoutes } from "@warren/sync";
import { discoveryRoute } from "../hub/discovery-route.ts";
import type { RoleBase } from "../role-base.ts";
import { version } from "../version.ts";
import { workspacesOver } from "./workspaces.ts";

const sidecarAbsent: ConditionKind = {
	code: "sidecar-absent",
	severity: "warning",
	title: "Local windows have no sidecar: {reason}",
	advice: "Stop what listens on port {port}, or choose another with WARREN_SIDECAR_PORT, and start again.",
	delayMs: 0,
};

/** Windows of the desktop program, on each platform that it runs on. */
const desktopOrigins = ["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost"] as const;
const credentials: readonly CredentialKind[] = ["session"];

export interface SidecarDocuments {
	readonly relay: SyncRelay;
	readonly documents: DocumentsList;
	readonly history: DocumentHistory;
	readonly access: RoomAccess;
}

export interface SidecarPlace {
	/** On loopback; 127.0.0.1 unless told. */
	readonly host?: string;
	readonly port: number;
	/** Of pages that may call, beside the desktop program's: the hub's, this node's own. */
	readonly origins: readonly string[];
	/** Further ones, for local windows: the coding agent. */
	readonly routes?: readonly Route[];
}

/**
 * The sidecar's own listener: plain HTTP, on loopback only, for windows of this machine. Allow-listed origins, sessions
 * of the hub, no AI, no keys, no accounts.
 * @throws WarrenError when the port is taken.
 */
export async function listenSidecar(
	base: RoleBase,
	{ host = "127.0.0.1", port, origins, routes = [] }: SidecarPlace,
	authenticator: Authenticator,
	parts: SidecarDocuments,
): Promise<Listener> {
	const { clock, random, logger, audit, lifetime } = base;
	const owner = "sidecar";
	const discovery = discoveryRoute(owner, { capabilities: ["sync", "workspace"] });
	const listener = await Listener.open(
		{ clock, logger, tracer: base.tracer },
		{
			role: owner,
			host,
			port,
			tls: null,
			hosts: new HostTable(["localhost", "127.0.0.1"]),
			authenticator,
			corsOrigins: new Set([...desktopOrigins, ...origins]),
			routes: describedRoutes(
				[
					discovery,
					...syncRoutes({ ...parts, audit }, { owner, credentials }),
					...workspacesOver(parts, { clock, random }, { owner, credentials }),
					...routes,
				],
				{ owner, title: "Warren sidecar", version },
			),
		},
	);
	lifetime.own(listener);
	// Before the listener tells all of them at once.
	lifetime.defer(() => parts.relay.close());
	logger.debug("sidecar listens", { port: listener.port });
	return listener;
}

/** The same beside a node: a port that is taken is a condition, and the node works without. */
export async function openSidecar(
	base: RoleBase,
	place: SidecarPlace,
	authenticator: Authenticator,
	parts: SidecarDocuments,
): Promise<void> {
	try {
		await listenSidecar(base, place, authenticator, parts);
	} catch (fault) {
		const facts = { reason: messageOf(fault as WarrenError), port: String(place.port) };
		base.health.raise(sidecarAbsent, facts);
	}
}
