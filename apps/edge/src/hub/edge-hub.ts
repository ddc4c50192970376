import { type Accounts, isRevoked, openAccounts } from "@warren/accounts";
import { FetchUpstream, openAi } from "@warren/ai";
import { closeCodes, type Logger, messageOf, type Random } from "@warren/kernel";
import { dataHeaders, describedRoutes, FetchListener, HostTable, type Route } from "@warren/net";
import { AuditLog } from "@warren/store";
import { DocumentsList, discoveryRoomOf, documentRoutes } from "@warren/sync";
import manifest from "../../package.json" with { type: "json" };
import type { EdgeConfig } from "../config/edge-config.ts";
import type { ObjectClock } from "../object-clock.ts";
import { type DurableStorage, type RoomStub, socketPair } from "../platform.ts";
import { ConfiguredSetup } from "./configured-setup.ts";
import { Doors } from "./doors.ts";
import { openHubTables } from "./hub-tables.ts";
import { roomContents } from "./room-contents.ts";

export interface EdgeHubDeps {
	readonly storage: DurableStorage;
	readonly roomOf: (room: string) => RoomStub;
	readonly clock: ObjectClock;
	readonly random: Random;
	readonly logger: Logger;
}

export interface EdgeHub {
	readonly listener: FetchListener;
	readonly accounts: Accounts;
	readonly documents: DocumentsList;
}

/** Written by the platform itself, over whatever a client sent. */
const addressHeader = "cf-connecting-ip";

/** What hub-services.ts of apps/warren composes, over an object's storage or PostgreSQL; documents' bytes are in objects of their own. */
export async function openEdgeHub(deps: EdgeHubDeps, config: EdgeConfig): Promise<EdgeHub> {
	const { storage, roomOf, clock, random, logger } = deps;
	const { db, attendance, secret } = await openHubTables({ storage, random }, config.database);
	const audit = new AuditLog(db as never, clock, logger, { role: "hub" });
	const accounts = await openAccounts(
		{ db, clock, random, logger, audit, setup: new ConfiguredSetup(config.setup, clock) },
		{
			baseUrls: config.urls,
			secret,
			cookieName: "warren-hub",
			social: config.social,
		},
	);
	/** Who does not hear it compares lists once a minute. */
	const tellDiscovery = (users: readonly string[]) => {
		for (const user of users)
			roomOf(discoveryRoomOf(user))
				.documentsChanged(user)
				.catch((fault: unknown) => logger.info("a discovery room was not told", { user, fault: messageOf(fault) }));
	};
	const documents: DocumentsList = new DocumentsList({
		db: db as never,
		clock,
		random,
		onAccessChanged: (document, user, access) => doors.accessChanged(document, user, access),
		onListChanged: (users) => tellDiscovery(users),
	});
	const doors = new Doors({
		...{ db: attendance, clock, random, logger, documents, roomOf },
		authenticator: accounts.authenticator,
	});
	const ai = await openAi(
		{ db: db as never, clock, random, logger, audit, upstream: new FetchUpstream(clock) },
		{ ...config.ai, keyFile: null, owner: "hub" },
	);
	const options = { owner: "hub", credentials: ["session"] } as const;
	const listener = new FetchListener(
		{ clock, logger },
		{
			role: "hub",
			hosts: new HostTable(config.urls.map((url) => new URL(url).hostname)),
			authenticator: doors.authenticator,
			cookieName: accounts.sessionCookieName,
			corsOrigins: config.corsOrigins,
			remoteAddressOf: (request) => request.headers.get(addressHeader) ?? "unknown",
			pair: socketPair,
			routes: describedRoutes(
				[
					aboutRoute(config),
					...accounts.routes(),
					...ai.routes(),
					...documentRoutes({ documents, history: roomContents(roomOf), audit }, options),
					doors.route(options),
				],
				{ owner: "hub", title: "Warren hub on Workers", version: manifest.version },
			),
		},
	);
	accounts.onRevoked((revoked) => {
		listener.disconnect((who) => isRevoked(revoked, who), closeCodes.signIn, "signed out");
		doors.revoked(revoked);
	});
	doors.start();
	return { listener, accounts, documents };
}

/** What runs here, as the Node hub says it at `/`. */
function aboutRoute({ name }: EdgeConfig): Route {
	return {
		owner: "hub",
		method: "GET",
		path: "/",
		credentials: ["none"],
		handle: () =>
			Response.json(
				{ app: "warren", roles: ["hub"], name, capabilities: ["accounts", "sync", "ai"] },
				{ headers: dataHeaders },
			),
	};
}
