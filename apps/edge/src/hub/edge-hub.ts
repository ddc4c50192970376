import { type Accounts, type AccountsTables, accountsSchema, isRevoked, openAccounts } from "@warren/accounts";
import { closeCodes, type Logger, newSecret, type Random } from "@warren/kernel";
import { dataHeaders, FetchListener, HostTable, type Route } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, openObjectTables } from "@warren/store";
import type { EdgeConfig } from "../config/edge-config.ts";
import type { ObjectClock } from "../object-clock.ts";
import { type DurableNamespace, type DurableState, type DurableStorage, socketPair } from "../platform.ts";
import { ConfiguredSetup } from "./configured-setup.ts";

type EdgeTables = AccountsTables & AuditTable;

export interface EdgeHubDeps {
	readonly state: DurableState;
	readonly rooms: DurableNamespace;
	readonly clock: ObjectClock;
	readonly random: Random;
	readonly logger: Logger;
}

export interface EdgeHub {
	readonly listener: FetchListener;
	readonly accounts: Accounts;
}

/** Written by the platform itself, over whatever a client sent. */
const addressHeader = "cf-connecting-ip";

/** The hub of hub-services.ts in apps/warren, over one object's storage. */
export async function openEdgeHub(deps: EdgeHubDeps, config: EdgeConfig): Promise<EdgeHub> {
	const { state, clock, random, logger } = deps;
	const tables = await openObjectTables<EdgeTables>(state.storage, [accountsSchema, auditSchema], "of this hub");
	const audit = new AuditLog(tables.db as never, clock, logger);
	const accounts = await openAccounts(
		{ db: tables.db, clock, random, logger, audit, setup: new ConfiguredSetup(config.setup, clock) },
		{
			baseUrls: config.urls,
			secret: await kept(state.storage, "secret", () => newSecret(random)),
			cookieName: "warren-hub",
			social: config.social,
		},
	);
	const listener = new FetchListener(
		{ clock, logger },
		{
			role: "hub",
			hosts: new HostTable(config.urls.map((url) => new URL(url).hostname)),
			authenticator: accounts.authenticator,
			cookieName: accounts.sessionCookieName,
			corsOrigins: config.corsOrigins,
			remoteAddressOf: (request) => request.headers.get(addressHeader) ?? "unknown",
			pair: socketPair,
			routes: [aboutRoute(config), ...accounts.routes()],
		},
	);
	accounts.onRevoked((revoked) => {
		listener.disconnect((who) => isRevoked(revoked, who), closeCodes.signIn, "signed out");
	});
	return { listener, accounts };
}

/** What runs here, as the Node hub says it at `/`. */
function aboutRoute({ name }: EdgeConfig): Route {
	return {
		owner: "hub",
		method: "GET",
		path: "/",
		credentials: ["none"],
		handle: () =>
			Response.json({ app: "warren", roles: ["hub"], name, capabilities: ["accounts"] }, { headers: dataHeaders }),
	};
}

/** Made at the first start, and kept with the object. */
async function kept(storage: DurableStorage, name: string, make: () => string): Promise<string> {
	const before = await storage.get<string>(name);
	if (before !== undefined) return before;
	const made = make();
	await storage.put(name, made);
	return made;
}
