// What the passkeys' library needs looks for it when it is loaded.
import "reflect-metadata";
import { apiKey } from "@better-auth/api-key";
import { createAuthMiddleware } from "@better-auth/core/api";
import { APIError } from "@better-auth/core/error";
import { isAPIError } from "@better-auth/core/utils/is-api-error";
import { kyselyAdapter } from "@better-auth/kysely-adapter";
import { passkey } from "@better-auth/passkey";
import type { Clock, Logger } from "@warren/kernel";
import { faultLine } from "@warren/net";
import { type BetterAuthOptions, betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { admin, bearer, deviceAuthorization, twoFactor } from "better-auth/plugins";
import { adminAc, userAc } from "better-auth/plugins/admin/access";
import type { Kysely } from "kysely";
import { cleanName, maxPersonNameLength } from "../device-name.ts";
import type { Admission } from "./admission.ts";
import { type AuthWatcher, hashedAdapter } from "./hashed-adapter.ts";
import { addressHeader, apiKeyPrefix, basePath } from "./names.ts";
import type { RateBuckets } from "./rate-buckets.ts";
import { noteFault, requestFacts } from "./request-facts.ts";
import type { SocialProviders } from "./social.ts";

const dayS = 24 * 3600;

export const sessionLimits = {
	/** A session slides: each use moves its end, at most once a day. Its token never rotates. */
	lifetimeS: 30 * dayS,
	slideEveryS: dayS,
	minPasswordLength: 10,
	maxPasswordLength: 128,
	deviceCodeLifetime: "15m",
	deviceCodeInterval: "5s",
	/** Requests of one address to one path. Sign-in and sign-up have the library's own, tighter: 3 in 10 s. */
	perPath: { windowS: 10, max: 60 },
	/** What leaves a row behind, of one address and whoever asks. */
	rowsPerPath: { windowS: 60, max: 30 },
} as const;

const rowsPerPath = { window: sessionLimits.rowsPerPath.windowS, max: sessionLimits.rowsPerPath.max };

export interface AuthDeps {
	readonly db: Kysely<any>;
	readonly engine: "sqlite" | "postgres";
	readonly clock: Clock;
	readonly logger: Logger;
	readonly watcher: AuthWatcher;
	readonly buckets: RateBuckets;
	readonly admission: Admission;
}

export interface AuthOptions {
	readonly secret: string;
	/** Without the prefix; one an install, because cookies ignore the port. */
	readonly cookieName: string;
	readonly trustedOrigins: () => readonly string[];
	readonly social?: SocialProviders;
}

/** Endpoints at which an account of another service becomes one of ours. */
const socialPaths = new Set(["/callback/:id", "/sign-in/social"]);

/** The library, set up for requests that name this server by `origin`. */
export function makeAuth(deps: AuthDeps, options: AuthOptions, origin: string) {
	return betterAuth(authOptions(deps, options, origin));
}
export type Auth = ReturnType<typeof makeAuth>;

/** The session cookie's full name: for `Listener`. */
export function sessionCookieName(cookieName: string): string {
	return `__Host-${cookieName}.session_token`;
}

/** Brings the library's own tables up to date; it knows its schema, we only give names. */
export async function migrateAuth(deps: AuthDeps, options: AuthOptions): Promise<void> {
	const settings: BetterAuthOptions = authOptions(deps, options, "http://localhost");
	const { runMigrations } = await getMigrations({
		...settings,
		database: { db: deps.db, type: deps.engine, transaction: true },
	});
	await runMigrations();
}

function authOptions(deps: AuthDeps, options: AuthOptions, origin: string) {
	const prefix = `__Host-${options.cookieName}`;
	return {
		appName: "Warren",
		baseURL: origin,
		basePath,
		secret: options.secret,
		// Said too, or the library would look for others in the environment.
		secrets: [{ version: 1, value: options.secret }],
		telemetry: { enabled: false },
		database: (settings: BetterAuthOptions) =>
			hashedAdapter(kyselyAdapter(deps.db, { type: deps.engine, transaction: true })(settings), deps.watcher),
		trustedOrigins: async () => [...options.trustedOrigins()],
		logger: {
			level: "warn",
			log: (level, message) => deps.logger[level === "error" ? "warn" : level](`auth: ${message}`),
		},
		emailAndPassword: {
			enabled: true,
			minPasswordLength: sessionLimits.minPasswordLength,
			maxPasswordLength: sessionLimits.maxPasswordLength,
			revokeSessionsOnPasswordReset: true,
		},
		user: { modelName: "auth_user" },
		socialProviders: socialProviders(deps, options.social ?? {}),
		account: {
			modelName: "auth_account",
			// An address alone gives nobody an account that stands: people link while they are signed in.
			accountLinking: { disableImplicitLinking: true, allowDifferentEmails: true },
			updateAccountOnSignIn: false,
		},
		verification: { modelName: "auth_verification", storeIdentifier: "hashed" },
		session: {
			modelName: "auth_session",
			expiresIn: sessionLimits.lifetimeS,
			updateAge: sessionLimits.slideEveryS,
			// It would keep a revoked session alive in the browser.
			cookieCache: { enabled: false },
			additionalFields: {
				deviceName: { type: "string", required: false, input: false },
				/** JWK thumbprint of the device's own key. */
				deviceKey: { type: "string", required: false, input: false },
			},
		},
		rateLimit: {
			// Off outside production unless told.
			enabled: true,
			window: sessionLimits.perPath.windowS,
			max: sessionLimits.perPath.max,
			customStorage: { consume: deps.buckets.consume },
			// A client that polls as the standard tells it must not run into the general limit.
			customRules: {
				"/device/token": { window: 60, max: 60 },
				"/device/code": rowsPerPath,
				"/passkey/generate-authenticate-options": rowsPerPath,
			},
		},
		onAPIError: {
			// Its own page is shut.
			errorURL: `${origin}/`,
			// Refusals are answers, not faults; the library would print them. Of a fault it answers nothing but 500.
			onError: (fault) => {
				if (isAPIError(fault)) return;
				deps.logger.error("auth: request failed", { fault: faultLine(fault) });
				noteFault(fault);
			},
		},
		advanced: {
			// Said aloud: the library leaves both checks out when the environment looks like a test.
			disableOriginCheck: false,
			disableCSRFCheck: false,
			cookiePrefix: prefix,
			// `__Host-` asks for Secure, Path=/ and no Domain; the library's own switch would write `__Secure-` before it.
			useSecureCookies: false,
			defaultCookieAttributes: { secure: true, httpOnly: true, sameSite: "strict", path: "/" },
			ipAddress: { ipAddressHeaders: [addressHeader] },
			// It comes back with a navigation from the other service's page.
			cookies: { state: { attributes: { sameSite: "lax" } } },
		},
		hooks: { before: createAuthMiddleware((context) => deps.admission.judge(context)) },
		databaseHooks: {
			user: {
				create: {
					before: async (user, context) => {
						if (context !== null && socialPaths.has(context.path)) deps.admission.admitSocial(user);
						const role = requestFacts.getStore()?.role ?? null;
						const named = { ...user, name: cleanName(user.name, maxPersonNameLength) || user.email };
						return { data: role === null ? named : { ...named, role } };
					},
				},
				update: {
					before: async (changed) => {
						if (changed.name === undefined) return;
						const name = cleanName(changed.name, maxPersonNameLength);
						if (name === "")
							throw new APIError("BAD_REQUEST", { code: "BAD_NAME", message: "This name shows nothing." });
						return { data: { ...changed, name } };
					},
				},
			},
			session: {
				create: {
					before: async (session) => {
						await deps.admission.settleSocial();
						return {
							data: {
								...session,
								deviceName: session["deviceName"] ?? requestFacts.getStore()?.deviceName ?? "A device",
							},
						};
					},
				},
			},
			account: {
				create: {
					// Who somebody is was all that was asked: what the other service's tokens open is not ours to keep.
					before: async (account) => ({ data: { ...account, accessToken: null, refreshToken: null, idToken: null } }),
				},
			},
		},
		plugins: [
			// requireSignature would refuse the tokens of the device flow.
			bearer(),
			deviceAuthorization({
				expiresIn: sessionLimits.deviceCodeLifetime,
				interval: sessionLimits.deviceCodeInterval,
				validateClient: (id) => /^[A-Za-z0-9._-]{1,64}$/.test(id),
				schema: { deviceCode: { modelName: "auth_device_code" } },
			}),
			admin({
				defaultRole: "user",
				adminRoles: ["owner", "admin"],
				roles: { owner: adminAc, admin: adminAc, user: userAc },
			}),
			twoFactor({
				issuer: "Warren",
				backupCodeOptions: { storeBackupCodes: "encrypted" },
				schema: { twoFactor: { modelName: "auth_two_factor" } },
			}),
			apiKey({
				defaultPrefix: apiKeyPrefix,
				// Ours is per address, before the key is even looked up.
				rateLimit: { enabled: false },
				schema: { apikey: { modelName: "auth_api_key" } },
			}),
			passkey({ rpName: "Warren", rpID: relyingPartyOf(origin), schema: { passkey: { modelName: "auth_passkey" } } }),
		],
	} satisfies BetterAuthOptions;
}

function socialProviders({ admission }: AuthDeps, { google, github }: SocialProviders) {
	// The last thing that is asked of a service before the library looks for the account.
	const mapProfileToUser = async ({ email }: { readonly email?: string | null }) => {
		await admission.lookUp(email);
		return {};
	};
	return {
		...(google === undefined ? {} : { google: { ...google, prompt: "select_account" as const, mapProfileToUser } }),
		...(github === undefined ? {} : { github: { ...github, mapProfileToUser } }),
	};
}

/**
 * Whom a passkey is made for (WebAuthn §5.1.2). All machines of a warren share the domain above their own names, so a
 * passkey made at one of them works at each; by any other name only at that one. Related origins would need a document
 * on port 443 of the domain, where nobody listens.
 */
export function relyingPartyOf(origin: string): string {
	const { hostname } = new URL(origin);
	return hostname.endsWith(`.${warrenDomain}`) ? warrenDomain : hostname;
}

const warrenDomain = "warren.internal";
