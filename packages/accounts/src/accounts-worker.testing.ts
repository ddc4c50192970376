import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { FetchListener, HostTable } from "@warren/net";
import {
	AuditLog,
	type ObjectStorage,
	openObjectTables,
	openPostgresTables,
	type PostgresOptions,
	type Tables,
} from "@warren/store";
import { openAccounts } from "./accounts.ts";
import { type HubTables, hubSchemas, OneSetup } from "./hub.testing.ts";
import { isRevoked } from "./revoked.ts";

declare const WebSocketPair: new () => { readonly 0: unknown; readonly 1: never };

interface State {
	readonly storage: ObjectStorage & { deleteAll(): Promise<void> };
}

/** What a test asks for: tables in a database, or null = in the object. */
export interface FreshHub {
	readonly trusted: boolean;
	readonly database: PostgresOptions | null;
}

/** A hub's accounts in a Durable Object, for the contract tests: they begin with a fresh one, and look into its tables. */
export class AccountsObject {
	readonly #storage: State["storage"];
	#listener: Promise<FetchListener> | null = null;
	#before: Promise<Tables<HubTables>> | null = null;

	constructor(state: State) {
		this.#storage = state.storage;
	}

	async fetch(request: Request): Promise<Response> {
		const { pathname } = new URL(request.url);
		if (pathname === "/~fresh") {
			await this.#storage.deleteAll();
			await (await this.#before)?.close();
			this.#listener = this.#open((await request.json()) as FreshHub);
			await this.#listener;
			return new Response();
		}
		if (pathname === "/~sql") {
			const { sql, parameters } = (await request.json()) as { sql: string; parameters: unknown[] };
			return Response.json(this.#storage.sql.exec(sql, ...parameters).toArray());
		}
		return (await this.#listener)?.fetch(request) ?? new Response("ask for a fresh one first", { status: 500 });
	}

	async #open({ trusted, database }: FreshHub): Promise<FetchListener> {
		const [clock, random, logger] = [systemClock, systemRandom, silentLogger];
		this.#before =
			database === null
				? openObjectTables<HubTables>(this.#storage, hubSchemas, "under test")
				: openPostgresTables<HubTables>(database, hubSchemas);
		const { db } = await this.#before;
		const audit = new AuditLog(db as never, clock, logger);
		const accounts = await openAccounts(
			{ db, clock, random, logger, audit, setup: new OneSetup() },
			{
				baseUrls: ["http://localhost"],
				secret: "a-secret-of-this-test-that-is-long-enough",
				cookieName: "warren-test",
			},
		);
		const listener = new FetchListener(
			{ clock, logger },
			{
				role: "hub",
				hosts: new HostTable(["localhost"]),
				authenticator: accounts.authenticator,
				cookieName: accounts.sessionCookieName,
				// As if the test were the platform: its word counts, unless it plays a client.
				remoteAddressOf: ({ headers }) => (trusted ? headers.get("x-forwarded-for") : null) ?? "127.0.0.1",
				pair: () => {
					const pair = new WebSocketPair();
					return { client: pair[0], server: pair[1] };
				},
				routes: accounts.routes(),
			},
		);
		accounts.onRevoked((revoked) => {
			listener.disconnect((who) => isRevoked(revoked, who), 4401, "signed out");
		});
		return listener;
	}
}

interface Environment {
	readonly HUB: { idFromName(name: string): unknown; get(id: unknown): { fetch(request: Request): Promise<Response> } };
}

export default {
	fetch: (request: Request, { HUB }: Environment): Promise<Response> => HUB.get(HUB.idFromName("hub")).fetch(request),
};
