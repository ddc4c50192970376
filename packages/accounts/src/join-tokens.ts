import { type Audit, type Clock, hashToken, newId, newSecret, type Random, RateLimit } from "@warren/kernel";
import type { Route } from "@warren/net";
import type { Kysely } from "kysely";
import { z } from "zod";
import { cleanName } from "./device-name.ts";
import { accountsError } from "./errors.ts";
import { answer, nothing, recordTo } from "./hub-route.ts";
import { administrator, adminKinds } from "./machines/machine-routes.ts";
import type { AccountsTables } from "./schema.ts";

export const joinTokenPrefix = "wo_";
export const joinTokenLimits = {
	maxTokens: 1000,
	minLifetimeMs: 60_000,
	maxLifetimeMs: 365 * 24 * 3600 * 1000,
	defaultLifetimeMs: 24 * 3600 * 1000,
	/** Unknown tokens of one address; a coordinator's good ones cost nothing. */
	unknownPerAddress: { perSecond: 1, burst: 30, maxKeys: 10_000 },
} as const;

const word = z
	.string()
	.regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$/, "must be a word of letters, digits, dots and dashes");
const makeBody = z.object({
	name: z
		.string()
		.max(320)
		.transform((text) => cleanName(text))
		.pipe(z.string().min(1).max(80)),
	network: word.default("default"),
	tags: z.array(word).max(32).default([]),
	/** Only for the first WireGuard key that shows it. */
	oneKey: z.boolean().default(false),
	expiresInMs: z
		.number()
		.int()
		.min(joinTokenLimits.minLifetimeMs)
		.max(joinTokenLimits.maxLifetimeMs)
		.default(joinTokenLimits.defaultLifetimeMs),
});
const validateBody = z.object({ token: z.string().max(1024), wg_public_key: z.string().max(128).nullish() });

/** Tokens by which a joiner of the overlay proves its network and tags; the coordinator asks for them at AUTH_URL. */
export class JoinTokens {
	readonly #db: Kysely<AccountsTables>;
	readonly #clock: Clock;
	readonly #random: Random;

	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
	}

	/** @returns the token, shown this once. @throws WarrenError `too_many`. */
	async make(by: string, wanted: z.infer<typeof makeBody>) {
		const now = this.#clock.now();
		await this.#db.deleteFrom("accounts_join_tokens").where("expires_at", "<=", now).execute();
		if ((await this.list()).length >= joinTokenLimits.maxTokens)
			throw accountsError("too_many", `There are already ${joinTokenLimits.maxTokens} join tokens.`);
		const token = `${joinTokenPrefix}${newSecret(this.#random)}`;
		const row = {
			id: newId(this.#random),
			token_hash: hashToken(token),
			name: wanted.name,
			network: wanted.network,
			tags: JSON.stringify(wanted.tags),
			one_key: wanted.oneKey ? 1 : 0,
			wg_public_key: null,
			created_by: by,
			created_at: now,
			expires_at: now + wanted.expiresInMs,
		};
		await this.#db.insertInto("accounts_join_tokens").values(row).execute();
		return { joinToken: tokenOf(row), token };
	}

	async list() {
		const rows = await this.#db
			.selectFrom("accounts_join_tokens")
			.selectAll()
			.where("expires_at", ">", this.#clock.now())
			.orderBy("created_at", "desc")
			.execute();
		return rows.map(tokenOf);
	}

	/** @throws WarrenError `unknown_token`. */
	async withdraw(id: string): Promise<void> {
		const done = await this.#db.deleteFrom("accounts_join_tokens").where("id", "=", id).executeTakeFirst();
		if (Number(done.numDeletedRows) === 0)
			throw accountsError("unknown_token", `There is no join token "${id.slice(0, 40)}".`);
	}

	/** The original's claims, or null. Space around a pasted token is forgiven; whose key it is may be bound once. */
	async validate(token: string, wgPublicKey: string | null) {
		const row = await this.#db
			.selectFrom("accounts_join_tokens")
			.selectAll()
			.where("token_hash", "=", hashToken(token.trim()))
			.where("expires_at", ">", this.#clock.now())
			.executeTakeFirst();
		if (row === undefined) return null;
		if (row.one_key === 1 && !(await this.#bind(row.id, row.wg_public_key, wgPublicKey))) return null;
		return {
			valid: true,
			subject: row.name,
			network: row.network,
			tags: JSON.parse(row.tags) as string[],
			kind: "join",
			requested_ulas: [] as string[],
			/** Seconds since the Unix epoch, as in JWT (RFC 7519 §2). */
			exp: Math.floor(Number(row.expires_at) / 1000),
		};
	}

	async #bind(id: string, bound: string | null, shown: string | null): Promise<boolean> {
		if (shown === null) return false;
		if (bound !== null) return bound === shown;
		const done = await this.#db
			.updateTable("accounts_join_tokens")
			.set({ wg_public_key: shown })
			.where("id", "=", id)
			.where((where) => where.or([where("wg_public_key", "is", null), where("wg_public_key", "=", shown)]))
			.executeTakeFirst();
		return Number(done.numUpdatedRows) === 1;
	}
}

/** `/v1/join-tokens` and the original's `/v1/validate`: docs/api-hub.md. */
export function joinTokenRoutes(deps: {
	readonly tokens: JoinTokens;
	readonly clock: Clock;
	readonly audit: Audit;
	readonly ownerId: () => Promise<string>;
}): Route[] {
	const { tokens } = deps;
	const owner = "hub";
	const record = recordTo(deps.audit);
	const unknown = new RateLimit(deps.clock, joinTokenLimits.unknownPerAddress);
	return [
		{
			owner,
			method: "POST",
			path: "/v1/join-tokens",
			about: { summary: "A join token of the overlay", body: makeBody },
			credentials: adminKinds,
			handle: async (context) => {
				const by = administrator(context) ?? (await deps.ownerId());
				const made = await tokens.make(by, await context.json(makeBody));
				record(context, "join-token.create", made.joinToken.id);
				return answer(made, 201);
			},
		},
		{
			owner,
			method: "GET",
			path: "/v1/join-tokens",
			about: { summary: "Join tokens of the overlay" },
			credentials: adminKinds,
			handle: async (context) => {
				administrator(context);
				return answer({ joinTokens: await tokens.list() });
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/v1/join-tokens/:token",
			about: { summary: "End a join token" },
			credentials: adminKinds,
			handle: async (context) => {
				administrator(context);
				const id = context.params["token"] ?? "";
				await tokens.withdraw(id);
				record(context, "join-token.delete", id);
				return nothing();
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/validate",
			about: { summary: "Whether a join token is good", body: validateBody },
			// The token in the body is the proof.
			credentials: ["none"],
			handle: async (context) => {
				const body = await context.json(validateBody);
				const waitMs = unknown.waitMs(context.remoteAddress);
				if (waitMs > 0)
					throw accountsError("rate_limited", `Too many unknown tokens from ${context.remoteAddress}.`, {
						details: { retryAfterMs: waitMs },
					});
				const claims = await tokens.validate(body.token, body.wg_public_key ?? null);
				if (claims === null) unknown.take(context.remoteAddress);
				return answer(claims ?? { valid: false });
			},
		},
	];
}

function tokenOf(row: AccountsTables["accounts_join_tokens"]) {
	return {
		id: row.id,
		name: row.name,
		network: row.network,
		tags: JSON.parse(row.tags) as string[],
		oneKey: row.one_key === 1,
		createdAt: Number(row.created_at),
		expiresAt: Number(row.expires_at),
	};
}
