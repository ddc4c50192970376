import {
	type Audit,
	type Authenticator,
	type Clock,
	type Closeable,
	firstOf,
	type Identity,
	Lifetime,
	type Logger,
	messageOf,
	type Random,
	type Timer,
} from "@warren/kernel";
import type { Route } from "@warren/net";
import { type Bus, engineOf } from "@warren/store";
import type { Kysely } from "kysely";
import { Admission, type SetupSecret } from "./auth/admission.ts";
import { AuthHandler } from "./auth/auth-handler.ts";
import { type AuthDeps, type AuthOptions, makeAuth, migrateAuth, sessionCookieName } from "./auth/better-auth.ts";
import type { GoneSession } from "./auth/hashed-adapter.ts";
import { RateBuckets } from "./auth/rate-buckets.ts";
import type { SocialProviders } from "./auth/social.ts";
import { vouchedAddress, vouchedOrigin } from "./client-address.ts";
import { accountsError } from "./errors.ts";
import { Invitations } from "./invitations.ts";
import { JoinTokens, joinTokenRoutes } from "./join-tokens.ts";
import { type JoinDeps, machineRoutes } from "./machines/machine-routes.ts";
import { type MachineFacts, Machines } from "./machines/machines.ts";
import { meRoutes } from "./me-routes.ts";
import { pairingRoutes } from "./pairing-routes.ts";
import { Pairings } from "./pairings.ts";
import { keyDeviceId, People } from "./people.ts";
import type { Revoked } from "./revoked.ts";
import { RevokedFeed } from "./revoked-feed.ts";
import { Sessions } from "./sessions.ts";
import { hubTicketRoutes } from "./tickets/hub-routes.ts";
import { openRevocations } from "./tickets/revocation-list.ts";
import { type TicketKey, TicketSigner } from "./tickets/ticket.ts";
import { Tickets } from "./tickets/tickets.ts";

export interface AccountsDeps {
	/** Tables with `accountsSchema`, SQLite or PostgreSQL. */
	readonly db: Kysely<any>;
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly audit: Audit;
	readonly setup: SetupSecret;
	/** How machines get their certificates; without it, none can join through this hub. */
	readonly join?: JoinDeps;
	/** SHA-256 of the certificate that new devices shall find here; shown beside a pairing's code. */
	readonly fingerprint?: () => string | null;
	/** Where several hubs share the tables: revocations reach the others through it. */
	readonly bus?: Bus;
}

export interface AccountsOptions {
	/** How this hub is reached, best first: `https://burrow.local:5151`. The first one stands in links. */
	readonly baseUrls: readonly string[];
	/** Further origins whose pages may sign in: every LAN and tailnet name. Asked on each request. */
	readonly trustedOrigins?: () => readonly string[];
	/** At least 32 characters, from a file of mode 0600. Cookies, two-factor secrets and tickets depend on it. */
	readonly secret: string;
	/** One an install: cookies ignore the port, and two hubs of one host must not overwrite each other's. */
	readonly cookieName: string;
	/** Offered on pages of `baseUrls` alone: a service sends nobody back to an address that it was not told. */
	readonly social?: SocialProviders;
}

/** The accounts of one hub, open. */
export interface Accounts extends Closeable {
	/** For `Listener`'s `cookieName`. */
	readonly sessionCookieName: string;
	/** Decides about sessions, API keys and the tokens of machines. */
	readonly authenticator: Authenticator;
	readonly people: People;
	/** Also the hub's own node's source of peers. */
	readonly machines: Machines;
	/** With which nodes check device tickets. */
	readonly ticketKey: TicketKey;
	/** The machine that this hub runs on, told at each start. */
	registerHub(nodeId: string, facts: MachineFacts): Promise<void>;
	routes(): Route[];
	/** Called at once when somebody loses access: cut what is open on their behalf (`isRevoked`). */
	onRevoked(watcher: (revoked: Revoked) => void): Closeable;
	/** Called after tickets were revoked, later than `onRevoked`: `revokedTickets` has them now. */
	onTicketsRevoked(watcher: () => void): Closeable;
	/**
	 * Revocations may have been missed: what was believed is looked up again, and whoever of these lost access is told to
	 * `onRevoked`.
	 */
	recheck(open: readonly Identity[]): Promise<void>;
	/** Tickets that were revoked and would be good otherwise: for the node that this hub runs on. */
	revokedTickets(): Promise<ReadonlySet<string>>;
	/** Whether the first account was made. */
	hasOwner(): Promise<boolean>;
	/** Whose hub this is; empty while nobody has an account. */
	ownerId(): Promise<string>;
}

const minSecretLength = 32;
/** What has ended is swept up so often: some of it anybody may leave, without an account. */
const sweepEveryMs = 10 * 60_000;

/** Opens the accounts, and brings their tables up to date. @throws WarrenError `bad_key` for a short secret. */
export async function openAccounts(deps: AccountsDeps, options: AccountsOptions): Promise<Accounts> {
	const { db, clock, random, logger, audit } = deps;
	const [baseUrl] = options.baseUrls;
	if (baseUrl === undefined) throw accountsError("bad_name", "The hub needs at least one base URL.");
	if (options.secret.length < minSecretLength)
		throw accountsError(
			"bad_key",
			`The hub's secret has ${options.secret.length} characters; it needs ${minSecretLength}.`,
		);

	const lifetime = new Lifetime();
	const feed = lifetime.own(new RevokedFeed(deps.bus));
	const admission = new Admission(db, clock, deps.setup);
	const authDeps: AuthDeps = {
		db,
		engine: engineOf(db),
		clock,
		logger,
		admission,
		buckets: new RateBuckets(clock),
		watcher: {
			sessionsGone: async (gone) => sessionsGone(gone),
			userChanged: ({ id, banned }) => feed.publish({ kind: banned ? "user" : "changed", userId: id }),
			userGone: ({ id }) => feed.publish({ kind: "user", userId: id }),
			keysGone: (keys) => {
				for (const key of keys)
					feed.publish({ kind: "device", userId: key.referenceId, deviceId: keyDeviceId(key.id) });
			},
		},
	};
	const authOptions: AuthOptions = {
		secret: options.secret,
		cookieName: options.cookieName,
		trustedOrigins: () => [...options.baseUrls.map(originOf), ...(options.trustedOrigins?.() ?? [])],
		...(options.social === undefined ? {} : { social: options.social }),
	};
	await migrateAuth(authDeps, authOptions);

	const machines = lifetime.own(new Machines(db, clock, random, feed, deps.bus));
	const addressOf = vouchedAddress(machines);
	const handler = new AuthHandler((origin) => makeAuth(authDeps, authOptions, origin), originOf(baseUrl), clock, {
		addressOf,
		originOf: vouchedOrigin(machines),
		ownOrigins: authOptions.trustedOrigins,
		social: options.social ?? {},
		socialHosts: new Set(options.baseUrls.map((url) => new URL(url).hostname)),
	});
	const people = new People(handler.base, clock);
	const sessions = new Sessions(people, clock);
	feed.watch((news) => {
		if (news.kind === "device") sessions.forget((known) => known.sessionId === news.deviceId);
		if (news.kind === "user" || news.kind === "changed") sessions.forget((known) => known.userId === news.userId);
	});
	const pairings = lifetime.own(new Pairings(db, clock, random, deps.bus));
	const sessionsGone = async (gone: readonly GoneSession[]) => {
		for (const session of gone) feed.publish({ kind: "device", userId: session.userId, deviceId: session.id });
		// Sockets first: should this fail, `reconcile` makes good for it at the next start.
		const taken = gone.filter((session) => session.expiresAt.getTime() > clock.now());
		if (taken.length === 0) return;
		const userIds = [...new Set(taken.map((session) => session.userId))];
		await people.takeCodesBack(userIds);
		await pairings.takeBack(userIds);
		await tickets.revokeDevices(taken.map((session) => session.id));
	};

	const signer = new TicketSigner(options.secret);
	const tickets = new Tickets(db, clock, random, signer);
	await tickets.reconcile((deviceIds) => people.living(deviceIds));
	let sweepTimer: Timer | undefined;
	const sweep = () => {
		sweepTimer = clock.after(sweepEveryMs, () => {
			sweep();
			people
				.purge()
				.catch((fault: unknown) => logger.warn("what has ended was not swept up", { fault: messageOf(fault) }));
		});
	};
	await people.purge();
	sweep();
	lifetime.defer(() => sweepTimer?.cancel());
	const tokens = new JoinTokens(db, clock, random);
	const ownerId = () => admission.ownerId();
	const common = { clock, audit, machines, people, ownerId, hubUrl: originOf(baseUrl) };
	const invitations = new Invitations(db, clock, random);
	return {
		sessionCookieName: sessionCookieName(options.cookieName),
		authenticator: firstOf(sessions, machines),
		people,
		machines,
		ticketKey: signer.key,
		registerHub: async (nodeId, facts) => void (await machines.registerHub(nodeId, facts)),
		routes: () => [
			...handler.routes(),
			...meRoutes({
				people,
				invitations,
				audit,
				ownsMachines: async (userId) => (await machines.list()).some((machine) => machine.ownerId === userId),
			}),
			...pairingRoutes({ ...common, pairings, addressOf, fingerprint: deps.fingerprint ?? (() => null) }),
			...machineRoutes({
				...common,
				join: deps.join ?? null,
				ticketKey: signer.key,
				sessionCookie: sessionCookieName(options.cookieName),
			}),
			...joinTokenRoutes({ ...common, tokens }),
			...hubTicketRoutes({ ...common, tickets, key: signer.key }),
		],
		onRevoked: (watcher) =>
			feed.watch((news) => {
				if (news.kind !== "changed") watcher(news);
			}),
		onTicketsRevoked: (watcher) => tickets.watch(watcher),
		recheck: async (open) => {
			sessions.forget(() => true);
			const devices = new Map<string, string>(
				open.flatMap((who) =>
					who.kind === "user" && who.deviceId !== undefined ? [[who.deviceId, who.userId] as const] : [],
				),
			);
			const alive = await people.livingDevices(devices);
			for (const [deviceId, userId] of devices)
				if (!alive.has(deviceId)) feed.publish({ kind: "device", userId, deviceId });
			const nodes = new Set(open.flatMap((who) => (who.kind === "node" ? [who.nodeId] : [])));
			if (nodes.size === 0) return;
			const machinesNow = new Set((await machines.list()).map((machine) => machine.nodeId));
			for (const nodeId of nodes) if (!machinesNow.has(nodeId)) feed.publish({ kind: "node", nodeId });
		},
		revokedTickets: async () => {
			const { sealed } = await tickets.revocations();
			return new Set(openRevocations(sealed, [signer.key])?.tickets.map((ticket) => ticket.id));
		},
		hasOwner: () => admission.hasOwner(),
		ownerId,
		close: () => lifetime.close(),
	};
}

function originOf(url: string): string {
	return new URL(url).origin;
}
