import {
	type Authenticator,
	type ConditionKind,
	type CredentialKind,
	messageOf,
	type WarrenError,
} from "@warren/kernel";
import { dataHeaders, HostTable, Listener, type Route } from "@warren/net";
import { workspaceRoutes } from "@warren/sidecar";
import { type DocumentHistory, type DocumentsList, type RoomAccess, type SyncRelay, syncRoutes } from "@warren/sync";
import type { NodeBase } from "../node/role-part.ts";
import { version } from "../version.ts";
import { syncDocumentHost } from "./document-host.ts";

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
	/** Somebody came to a document, or made one: it may be one that the hub does not know yet. */
	readonly onVisited?: () => void;
}

/**
 * The sidecar's own listener: plain HTTP, on loopback only, for windows of this machine. Allow-listed origins, sessions
 * of the hub, no AI, no keys, no accounts. A port that is taken is a condition; the node works without.
 */
export async function openSidecar(
	base: NodeBase,
	port: number,
	authenticator: Authenticator,
	parts: SidecarDocuments,
): Promise<void> {
	const { clock, random, logger, audit, health, lifetime } = base;
	const owner = "sidecar";
	const discovery: Route = {
		owner,
		method: "GET",
		path: "/",
		credentials: ["none"],
		handle: () =>
			Response.json(
				{ app: "warren", version, roles: [owner], capabilities: ["sync", "workspace"] },
				{ headers: dataHeaders },
			),
	};
	try {
		const listener = await Listener.open(
			{ clock, logger },
			{
				role: owner,
				host: "127.0.0.1",
				port,
				tls: null,
				hosts: new HostTable(["localhost", "127.0.0.1"]),
				authenticator,
				corsOrigins: new Set([...desktopOrigins, ...base.urls]),
				routes: [
					discovery,
					...syncRoutes({ ...parts, access: visited(parts), audit }, { owner, credentials }),
					...workspaceRoutes({
						documents: syncDocumentHost({ ...parts, clock, random }),
						clock,
						random,
						owner,
						credentials,
					}),
				],
			},
		);
		lifetime.own(listener);
		logger.debug("sidecar listens", { port: listener.port });
	} catch (fault) {
		health.raise(sidecarAbsent, { reason: messageOf(fault as WarrenError), port: String(port) });
	}
}

function visited({ access, onVisited }: SidecarDocuments): RoomAccess {
	return {
		get revision() {
			return access.revision;
		},
		async permit(identity, id) {
			const permit = await access.permit(identity, id);
			onVisited?.();
			return permit;
		},
	};
}
