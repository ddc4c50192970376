import { watch } from "node:fs";
import {
	HubRequests,
	SessionClient,
	SessionMemory,
	type SessionMemoryTables,
	sessionMemorySchema,
} from "@warren/accounts";
import { type Closeable, defineErrors, HealthTable, Lifetime, newId } from "@warren/kernel";
import { type Listener, Metrics } from "@warren/net";
import { agentRoutes } from "@warren/sidecar";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";
import { type SyncTables, syncLogSchema, syncSchema } from "@warren/sync";
import type { RoleDeps } from "../cli/run-role.ts";
import { DataFolder } from "../config/data-folder.ts";
import { loginFileName, readLogin } from "../config/login-file.ts";
import type { SidecarConfig } from "../config/sidecar-config.ts";
import { openDocuments } from "../hub/hub-documents.ts";
import { readMembership } from "../hub/membership.ts";
import type { RoleBase } from "../role-base.ts";
import { openCodingAgents } from "./coding-agents.ts";
import { type SidecarHub, SidecarSync } from "./hub-sync.ts";
import { listenSidecar } from "./sidecar-listener.ts";

const sidecarError = defineErrors({ no_hub: { status: 400 } });

/** The one line of `--json`. */
export interface SidecarReady {
	readonly url: string;
	readonly hubUrl: string;
	/** Who is synced, or null: nobody signed in yet. */
	readonly user: string | null;
	readonly data: string;
	readonly pid: number;
}

export interface SidecarRole extends Closeable {
	readonly ready: SidecarReady;
	readonly listener: Listener;
}

/**
 * A sidecar alone: workspaces and documents for windows of this machine, in step with a hub.
 * @throws WarrenError `no_hub` when it was told none and nobody signed in here.
 */
export async function openSidecarRole(deps: RoleDeps, config: SidecarConfig): Promise<SidecarRole> {
	const lifetime = new Lifetime();
	try {
		return await compose(deps, config, lifetime);
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

async function compose(deps: RoleDeps, config: SidecarConfig, lifetime: Lifetime): Promise<SidecarRole> {
	const { clock, logger } = deps;
	const data = lifetime.own(DataFolder.open(config.data));
	const tables = lifetime.own(
		await openSqliteTables<SyncTables & SessionMemoryTables & AuditTable>(data.file("sidecar.db"), [
			syncSchema,
			syncLogSchema,
			sessionMemorySchema,
			auditSchema,
		]),
	);
	const audit = new AuditLog(tables.db, clock, logger, { role: "sidecar" });
	const base: RoleBase = {
		...{ ...deps, lifetime, data, audit },
		health: new HealthTable(clock),
		metrics: new Metrics(),
	};
	const hub = hubOf(config, data);
	const requests = lifetime.own(new HubRequests(hub.hubUrl, hub.ca));
	const sessions = new SessionClient(requests.askSession, clock, new SessionMemory(tables.db, clock));
	const documents = openDocuments(base, tables, { onListChanged: () => sync.refresh() });
	const self = { deviceId: deviceId(base), hostname: config.name, url: null };
	const sync: SidecarSync = lifetime.own(new SidecarSync(base, hub, { sessions, documents, self }));
	const user = followLogin(base, hub, sync);
	const agents = openCodingAgents(base, documents, {
		hub: { url: hub.hubUrl, ca: hub.ca },
		sessions,
		// Alone, it serves whoever signed in here by hand.
		mayRun: (who) => who.userId === readLogin(data.path)?.userId,
		command: config.opencode,
	});
	const routes = agentRoutes(agents, { owner: "sidecar", credentials: ["session"], audit });
	const place = { host: config.host, port: config.port, origins: [hub.hubUrl], routes };
	const listener = await listenSidecar(base, place, sync, documents);
	return {
		listener,
		ready: {
			url: `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${listener.port}`,
			hubUrl: hub.hubUrl,
			user,
			data: data.path,
			pid: process.pid,
		},
		close: () => lifetime.close(),
	};
}

/** The hub that it was told, else the one of `warren login` here, else the one that this machine joined. */
function hubOf(config: SidecarConfig, data: DataFolder): SidecarHub {
	const login = readLogin(data.path);
	const told = config.hub === undefined ? null : new URL(config.hub).origin;
	const known = [login, readMembership(data)].filter((each) => each !== null);
	const same = known.find((each) => told === null || each.hubUrl === told);
	if (same !== undefined) return { hubUrl: same.hubUrl, ca: same.ca };
	if (told !== null) return { hubUrl: told, ca: null };
	throw sidecarError("no_hub", `Nobody is signed in at a hub in ${data.path}.`, {
		fix: "Sign in with: warren login https://HUB:PORT   or name the hub with --hub URL",
	});
}

/** Takes over each `warren login` at this hub while it runs. @returns whom it found signed in. */
function followLogin(base: RoleBase, hub: SidecarHub, sync: SidecarSync): string | null {
	const { data, lifetime, logger } = base;
	const take = () => {
		const login = readLogin(data.path);
		if (login === null) return null;
		if (login.hubUrl !== hub.hubUrl) {
			logger.warn("the sign-in here is at another hub: restart the sidecar to move to it", { hub: login.hubUrl });
			return null;
		}
		sync.signIn({ userId: login.userId, token: login.token });
		return login.email;
	};
	const watcher = watch(data.path, (_event, file) => {
		if (file === loginFileName) take();
	});
	lifetime.defer(() => watcher.close());
	return take();
}

/** Made once an installation. */
function deviceId({ data, random }: RoleBase): string {
	const kept = data.read("device.id");
	if (kept !== null) return kept.trim();
	const made = newId(random);
	data.write(`${made}\n`, "device.id");
	return made;
}
