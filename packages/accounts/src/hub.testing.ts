import { type Authenticator, firstOf, type Logger, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { HostTable, Listener, type Route } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables, type Tables } from "@warren/store";
import { type Accounts, type AccountsDeps, type AccountsOptions, openAccounts } from "./accounts.ts";
import type { SetupSecret } from "./auth/admission.ts";
import { isRevoked } from "./revoked.ts";
import { type AccountsTables, accountsSchema } from "./schema.ts";

export type HubTables = AccountsTables & AuditTable;
export type OpenTables = () => Promise<Tables<HubTables>>;

/** Hubs in a runtime of their own, reached over HTTP alone. */
export interface RemoteHubs {
	/** A fresh one. */
	remote(more: {
		readonly trustedProxies?: readonly string[];
	}): Promise<{ readonly tables: Tables<HubTables>; readonly port: number; readonly close: () => Promise<void> }>;
}

export type HubSource = OpenTables | Tables<HubTables> | RemoteHubs;

/** Whether hubs of this kind take nothing from the test's own process. */
export function isRemote(source: HubSource): source is RemoteHubs {
	return "remote" in source;
}

export const hubSchemas = [accountsSchema, auditSchema];
export const openMemoryTables: OpenTables = () => openSqliteTables<HubTables>(":memory:", hubSchemas);

export const setupSecret = "the-one-time-setup-secret";
export const password = "correct horse battery";

/** A setup secret that works once. */
export class OneSetup implements SetupSecret {
	#left: string | null = setupSecret;
	verify: SetupSecret["verify"] = async (secret) =>
		secret === this.#left
			? { ok: true, kind: "setup", identity: { kind: "operator", name: "setup" } }
			: { ok: false, reason: "invalid", message: "spent" };
	spend = async (secret: string) => {
		const right = secret === this.#left;
		if (right) this.#left = null;
		return right;
	};
	restore = async (secret: string) => {
		this.#left = secret;
	};
}

/** A hub on loopback over real HTTP, with a client that is a person, a program or a page, as the headers say. */
export class TestHub implements AsyncDisposable {
	readonly tables: Tables<HubTables>;
	readonly accounts: Accounts;
	readonly listener: Listener;
	readonly #owned: boolean;

	private constructor(tables: Tables<HubTables>, accounts: Accounts, listener: Listener, owned: boolean) {
		this.tables = tables;
		this.accounts = accounts;
		this.listener = listener;
		this.#owned = owned;
	}

	static async open(
		openTables: HubSource,
		more: {
			readonly options?: Partial<AccountsOptions>;
			readonly deps?: Partial<AccountsDeps>;
			readonly routes?: readonly Route[];
			readonly authenticators?: readonly Authenticator[];
			readonly logger?: Logger;
			readonly hosts?: readonly string[];
			readonly trustedProxies?: readonly string[];
			readonly corsOrigins?: ReadonlySet<string>;
		} = {},
	): Promise<TestHub> {
		if (isRemote(openTables)) return TestHub.#remote(openTables, more);
		const owned = typeof openTables === "function";
		const tables = owned ? await openTables() : openTables;
		const logger = more.logger ?? silentLogger;
		const clock = systemClock;
		const audit = new AuditLog(tables.db as never, clock, logger);
		const accounts = await openAccounts(
			{ db: tables.db, clock, random: systemRandom, logger, audit, setup: new OneSetup(), ...more.deps },
			{
				baseUrls: ["http://localhost"],
				secret: "a-secret-of-this-test-that-is-long-enough",
				cookieName: "warren-test",
				...more.options,
			},
		);
		const listener = await Listener.open(
			{ clock, logger },
			{
				role: "hub",
				host: "127.0.0.1",
				port: 0,
				tls: null,
				hosts: new HostTable(["localhost", ...(more.hosts ?? [])]),
				authenticator: firstOf(accounts.authenticator, ...(more.authenticators ?? [])),
				cookieName: accounts.sessionCookieName,
				trustedProxies: more.trustedProxies ?? ["127.0.0.1"],
				...(more.corsOrigins === undefined ? {} : { corsOrigins: more.corsOrigins }),
				routes: [...accounts.routes(), ...(more.routes ?? [])],
			},
		);
		accounts.onRevoked((revoked) => {
			listener.disconnect((who) => isRevoked(revoked, who), 4401, "signed out");
		});
		return new TestHub(tables, accounts, listener, owned);
	}

	static async #remote(
		hubs: RemoteHubs,
		{ trustedProxies }: { readonly trustedProxies?: readonly string[] },
	): Promise<TestHub> {
		const { tables, port, close } = await hubs.remote(trustedProxies === undefined ? {} : { trustedProxies });
		const hasOwner = async () =>
			(
				await tables.db
					.selectFrom("auth_user" as never)
					.select("id" as never)
					.execute()
			).length > 0;
		return new TestHub(tables, { hasOwner, close() {} } as never, { port, close } as never, true);
	}

	get origin(): string {
		return `http://localhost:${this.listener.port}`;
	}

	/** @param body an object is sent as JSON, a URLSearchParams as a form. */
	async call(
		method: string,
		path: string,
		body?: unknown,
		headers: Readonly<Record<string, string>> = {},
	): Promise<{ status: number; body: any; headers: Headers }> {
		const form = body instanceof URLSearchParams;
		const response = await fetch(`${this.origin}${path}`, {
			method,
			redirect: "manual",
			headers: {
				...(body === undefined || form ? {} : { "content-type": "application/json" }),
				...headers,
			},
			...(body === undefined ? {} : { body: form ? body : JSON.stringify(body) }),
		});
		const text = await response.text();
		let parsed: unknown = text;
		try {
			parsed = text === "" ? null : JSON.parse(text);
		} catch {
			// An answer that is no JSON is shown as it is.
		}
		return { status: response.status, body: parsed, headers: response.headers };
	}

	/** The first owner. @returns the session's token. */
	async owner(email = "ada@example.test"): Promise<string> {
		const done = await this.call(
			"POST",
			"/auth/signup",
			{ name: "Ada", email, password },
			{ "x-warren-setup": setupSecret, "x-warren-device": "Ada%27s%20laptop" },
		);
		if (done.status !== 200) throw new Error(`sign-up: ${done.status} ${JSON.stringify(done.body)}`);
		return done.body.token;
	}

	/** One more person, by invitation. @returns the session's token. */
	async person(owner: string, email: string, role = "user"): Promise<string> {
		const invited = await this.call("POST", "/me/invitations", { role }, bearer(owner));
		const done = await this.call(
			"POST",
			"/auth/signup",
			{ name: email.split("@")[0], email, password, invitation: invited.body.code },
			// Each at an address of its own: the sign-up limit is per address.
			{ "x-forwarded-for": nextAddress() },
		);
		if (done.status !== 200) throw new Error(`sign-up: ${done.status} ${JSON.stringify(done.body)}`);
		return done.body.token;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.listener.close();
		await this.accounts.close();
		if (this.#owned) await this.tables.close();
	}
}

let addresses = 0;
/** A client's address that no other test uses. */
export function nextAddress(): string {
	addresses += 1;
	return `198.51.${addresses >> 8}.${addresses & 255}`;
}

export function bearer(token: string): Record<string, string> {
	return { authorization: `Bearer ${token}` };
}
