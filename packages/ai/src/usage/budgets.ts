import { type Clock, ExpiringMap, RateLimit, type WarrenError } from "@warren/kernel";
import type { Kysely } from "kysely";
import { aiError } from "../errors.ts";
import { aiLimits } from "../limits.ts";
import type { AiTables } from "../schema.ts";
import { dayOf, monthOf, startOfDay, type UsageLog } from "./usage-log.ts";

/** What one subject may use. Null = no limit. */
export interface Budget {
	readonly subject: string;
	readonly dayTokens: number | null;
	readonly monthTokens: number | null;
	readonly requestsPerMinute: number | null;
}

export interface Spender {
	readonly user: string;
	readonly device: string;
}

interface Spent {
	day: number;
	dayTokens: number;
	monthFirst: number;
	monthTokens: number;
}

const maxKnownSpenders = 20_000;
const spenderKeptMs = 24 * 3600_000;
export const everyone = "everyone";

/**
 * Limits of tokens a day and a month, and of requests a minute, by person and by device (an API key is a device). Judged
 * before a request goes out; what runs already runs on, so a limit can be passed by what was under way at once.
 */
export class Budgets {
	readonly #db: Kysely<AiTables>;
	readonly #log: UsageLog;
	readonly #clock: Clock;
	readonly #budgets = new Map<string, Budget>();
	readonly #spent: ExpiringMap<string, Spent>;
	readonly #rate: RateLimit;
	readonly #minutes = new Map<number, RateLimit>();

	private constructor(db: Kysely<AiTables>, log: UsageLog, clock: Clock) {
		this.#db = db;
		this.#log = log;
		this.#clock = clock;
		this.#spent = new ExpiringMap(clock, maxKnownSpenders);
		this.#rate = new RateLimit(clock, aiLimits.requests);
	}

	static async open(db: Kysely<AiTables>, log: UsageLog, clock: Clock): Promise<Budgets> {
		const budgets = new Budgets(db, log, clock);
		for (const row of await db.selectFrom("ai_budgets").selectAll().execute())
			budgets.#budgets.set(row.subject, {
				subject: row.subject,
				dayTokens: numberOrNull(row.day_tokens),
				monthTokens: numberOrNull(row.month_tokens),
				requestsPerMinute: numberOrNull(row.requests_per_minute),
			});
		return budgets;
	}

	list(): Budget[] {
		return [...this.#budgets.values()].sort((a, b) => (a.subject < b.subject ? -1 : 1));
	}

	async set(budget: Budget): Promise<void> {
		const row = {
			day_tokens: budget.dayTokens,
			month_tokens: budget.monthTokens,
			requests_per_minute: budget.requestsPerMinute,
			updated_at: this.#clock.now(),
		};
		await this.#db
			.insertInto("ai_budgets")
			.values({ subject: budget.subject, ...row })
			.onConflict((conflict) => conflict.column("subject").doUpdateSet(row))
			.execute();
		this.#budgets.set(budget.subject, budget);
	}

	/** @returns whether there was one. */
	async remove(subject: string): Promise<boolean> {
		await this.#db.deleteFrom("ai_budgets").where("subject", "=", subject).execute();
		return this.#budgets.delete(subject);
	}

	/** Why a request may not go out now, or null. Synchronous for whoever was seen today: no lookup on the way. */
	refuse(spender: Spender): WarrenError | null | Promise<WarrenError | null> {
		const limited = this.#refuseRate(spender);
		if (limited !== null) return limited;
		const user = `user:${spender.user}`;
		const device = `device:${spender.device}`;
		const budgets = [this.#budgets.get(user) ?? this.#budgets.get(everyone), this.#budgets.get(device)];
		if (budgets.every((budget) => budget === undefined || !limitsTokens(budget))) return null;
		const judge = () =>
			refuseSpent(budgets[0], this.#current(user), this.#clock) ??
			refuseSpent(budgets[1], this.#current(device), this.#clock);
		if (this.#spent.get(user) !== undefined && this.#spent.get(device) !== undefined) return judge();
		return Promise.all([this.#load("user", spender.user), this.#load("device", spender.device)]).then(judge);
	}

	/** Counts what a request has used, at once; the log writes it behind. */
	spend(spender: Spender, tokens: number): void {
		for (const key of [`user:${spender.user}`, `device:${spender.device}`]) {
			const spent = this.#current(key);
			if (spent === undefined) continue;
			spent.dayTokens += tokens;
			spent.monthTokens += tokens;
		}
	}

	/** What a person has used, and until when it counts. */
	async standing(spender: Spender): Promise<{
		readonly budget: Budget | null;
		readonly deviceBudget: Budget | null;
		readonly dayTokens: number;
		readonly monthTokens: number;
		readonly dayResetsAt: number;
		readonly monthResetsAt: number;
	}> {
		await this.#load("user", spender.user);
		const spent = this.#current(`user:${spender.user}`);
		const now = this.#clock.now();
		return {
			budget: this.#budgets.get(`user:${spender.user}`) ?? this.#budgets.get(everyone) ?? null,
			deviceBudget: this.#budgets.get(`device:${spender.device}`) ?? null,
			dayTokens: spent?.dayTokens ?? 0,
			monthTokens: spent?.monthTokens ?? 0,
			dayResetsAt: startOfDay(dayOf(now) + 1),
			monthResetsAt: startOfDay(monthOf(now).next),
		};
	}

	#refuseRate({ user, device }: Spender): WarrenError | null {
		const waits = [
			this.#rate.take(user),
			...[
				["user", user, this.#budgets.get(`user:${user}`) ?? this.#budgets.get(everyone)] as const,
				["device", device, this.#budgets.get(`device:${device}`)] as const,
			].map(([kind, id, budget]) =>
				budget?.requestsPerMinute == null ? 0 : this.#minute(budget.requestsPerMinute).take(`${kind}:${id}`),
			),
		];
		const retryAfterMs = Math.max(...waits);
		if (retryAfterMs === 0) return null;
		return aiError("rate_limited", `Too many requests: the next may go in ${Math.ceil(retryAfterMs / 1000)} s.`, {
			details: { retryAfterMs },
		});
	}

	/** One limit a pace; each holds its own subjects. */
	#minute(requests: number): RateLimit {
		let limit = this.#minutes.get(requests);
		if (limit === undefined) {
			limit = new RateLimit(this.#clock, { perSecond: requests / 60, burst: requests, maxKeys: maxKnownSpenders });
			this.#minutes.set(requests, limit);
		}
		return limit;
	}

	async #load(column: "user" | "device", id: string): Promise<void> {
		const key = `${column}:${id}`;
		if (this.#spent.get(key) !== undefined) return;
		const now = this.#clock.now();
		const { first } = monthOf(now);
		const byDay = await this.#log.tokensByDay(column, id, first);
		// Another request may have loaded it meanwhile, and spent from it.
		if (this.#spent.get(key) !== undefined) return;
		const day = dayOf(now);
		const monthTokens = [...byDay.values()].reduce((sum, tokens) => sum + tokens, 0);
		this.#spent.set(key, { day, dayTokens: byDay.get(day) ?? 0, monthFirst: first, monthTokens }, spenderKeptMs);
	}

	#current(key: string): Spent | undefined {
		const spent = this.#spent.get(key);
		if (spent === undefined) return undefined;
		const now = this.#clock.now();
		const day = dayOf(now);
		if (spent.day !== day) {
			spent.day = day;
			spent.dayTokens = 0;
		}
		const { first } = monthOf(now);
		if (spent.monthFirst !== first) {
			spent.monthFirst = first;
			spent.monthTokens = 0;
		}
		return spent;
	}
}

function refuseSpent(budget: Budget | undefined, spent: Spent | undefined, clock: Clock): WarrenError | null {
	if (budget === undefined || spent === undefined) return null;
	const now = clock.now();
	const over =
		budget.monthTokens !== null && spent.monthTokens >= budget.monthTokens
			? { what: "month", limit: budget.monthTokens, used: spent.monthTokens, resetsAt: startOfDay(monthOf(now).next) }
			: budget.dayTokens !== null && spent.dayTokens >= budget.dayTokens
				? { what: "day", limit: budget.dayTokens, used: spent.dayTokens, resetsAt: startOfDay(dayOf(now) + 1) }
				: null;
	if (over === null) return null;
	const whose = budget.subject.startsWith("device:") ? "This device's" : "Your";
	return aiError(
		"over_budget",
		`${whose} budget of ${over.limit} tokens a ${over.what} is used up (${over.used}); it starts anew at ${new Date(over.resetsAt).toISOString()}.`,
		{ details: { resetsAt: over.resetsAt, retryAfterMs: over.resetsAt - now, limit: over.limit, used: over.used } },
	);
}

function limitsTokens({ dayTokens, monthTokens }: Budget): boolean {
	return dayTokens !== null || monthTokens !== null;
}

function numberOrNull(value: number | null): number | null {
	return value === null ? null : Number(value);
}
