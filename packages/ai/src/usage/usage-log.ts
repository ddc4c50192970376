import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { AiTables } from "../schema.ts";

const dayMs = 86_400_000;

/** One finished request. */
export interface UsageEntry {
	readonly user: string;
	readonly device: string;
	readonly provider: string;
	readonly model: string;
	readonly failed: boolean;
	readonly input: number;
	readonly output: number;
	readonly cached: number;
	readonly estimated: boolean;
}

export type UsageRow = AiTables["ai_usage"];

export const usageLimits = {
	/** What a kill -9 can cost. */
	flushMs: 1_000,
	/** Rows that wait for the disk; a disk that refuses for long costs the oldest. */
	maxWaiting: 10_000,
	/** Different models of one person a day; further ones are counted together. */
	maxModelsPerDay: 200,
	maxReportDays: 366,
} as const;

/** Who used how much of what: added up in memory, written behind each second. */
export class UsageLog implements Closeable {
	readonly #db: Kysely<AiTables>;
	readonly #clock: Clock;
	readonly #logger: Logger;
	#waiting = new Map<string, UsageRow>();
	#models = new Map<string, Set<string>>();
	#modelsDay = -1;
	#timer: Timer | null = null;
	#writing: Promise<void> = Promise.resolve();

	constructor(db: Kysely<AiTables>, clock: Clock, logger: Logger) {
		this.#db = db;
		this.#clock = clock;
		this.#logger = logger;
	}

	add(entry: UsageEntry): void {
		const day = dayOf(this.#clock.now());
		const model = this.#boundedModel(day, entry.user, entry.model);
		const { user, device, provider } = entry;
		const key = JSON.stringify([day, user, device, provider, model]);
		const row = this.#waiting.get(key) ?? emptyRow({ day, user, device, provider, model });
		this.#waiting.set(key, {
			...row,
			requests: row.requests + 1,
			failures: row.failures + (entry.failed ? 1 : 0),
			input_tokens: row.input_tokens + entry.input,
			output_tokens: row.output_tokens + entry.output,
			cached_tokens: row.cached_tokens + entry.cached,
			estimated: row.estimated + (entry.estimated ? 1 : 0),
		});
		this.#timer ??= this.#clock.after(usageLimits.flushMs, () => {
			this.#timer = null;
			void this.flush();
		});
	}

	/** Resolves when what was added so far is on disk, or the disk refused. */
	flush(): Promise<void> {
		this.#writing = this.#writing.then(() => this.#write());
		return this.#writing;
	}

	/** Rows of the last `days` days, today included, newest first. @param user null = everybody's. */
	async report(user: string | null, days: number): Promise<UsageRow[]> {
		await this.flush();
		let query = this.#db
			.selectFrom("ai_usage")
			.selectAll()
			.where("day", ">", dayOf(this.#clock.now()) - Math.min(days, usageLimits.maxReportDays))
			.orderBy("day", "desc");
		if (user !== null) query = query.where("user", "=", user);
		return (await query.execute()).map(asNumbers);
	}

	/** Tokens of one person or device on each day from `sinceDay` on. */
	async tokensByDay(column: "user" | "device", id: string, sinceDay: number): Promise<Map<number, number>> {
		await this.flush();
		const rows = await this.#db
			.selectFrom("ai_usage")
			.select(["day", "input_tokens", "output_tokens"])
			.where(column, "=", id)
			.where("day", ">=", sinceDay)
			.execute();
		const byDay = new Map<number, number>();
		for (const row of rows)
			byDay.set(row.day, (byDay.get(row.day) ?? 0) + Number(row.input_tokens) + Number(row.output_tokens));
		return byDay;
	}

	async close(): Promise<void> {
		this.#timer?.cancel();
		await this.flush();
	}

	async #write(): Promise<void> {
		const rows = [...this.#waiting.values()];
		if (rows.length === 0) return;
		this.#waiting = new Map();
		try {
			await this.#db.transaction().execute(async (transaction) => {
				for (const row of rows)
					await transaction
						.insertInto("ai_usage")
						.values(row)
						.onConflict((conflict) =>
							conflict.columns(["day", "user", "device", "provider", "model"]).doUpdateSet((eb) => ({
								requests: eb("ai_usage.requests", "+", row.requests),
								failures: eb("ai_usage.failures", "+", row.failures),
								input_tokens: eb("ai_usage.input_tokens", "+", row.input_tokens),
								output_tokens: eb("ai_usage.output_tokens", "+", row.output_tokens),
								cached_tokens: eb("ai_usage.cached_tokens", "+", row.cached_tokens),
								estimated: eb("ai_usage.estimated", "+", row.estimated),
							})),
						)
						.execute();
			});
		} catch (fault) {
			this.#logger.warn("usage was not written; it is tried again", { rows: rows.length, fault: messageOf(fault) });
			this.#takeBack(rows);
		}
	}

	#takeBack(rows: readonly UsageRow[]): void {
		for (const row of rows) {
			if (this.#waiting.size >= usageLimits.maxWaiting) return;
			const key = JSON.stringify([row.day, row.user, row.device, row.provider, row.model]);
			const newer = this.#waiting.get(key);
			this.#waiting.set(key, newer === undefined ? row : sum(row, newer));
		}
	}

	/** A name comes from the provider or the caller: nobody fills the table with invented ones. */
	#boundedModel(day: number, user: string, model: string): string {
		if (day !== this.#modelsDay) {
			this.#modelsDay = day;
			this.#models = new Map();
		}
		const seen = this.#models.get(user) ?? new Set();
		if (!seen.has(model) && seen.size >= usageLimits.maxModelsPerDay) return "other";
		this.#models.set(user, seen.add(model));
		return model;
	}
}

export function dayOf(ms: number): number {
	return Math.floor(ms / dayMs);
}

/** The first day (since the Unix epoch) of the month (UTC) that a moment is in, and of the next one. */
export function monthOf(ms: number): { readonly first: number; readonly next: number } {
	const date = new Date(ms);
	const first = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
	const next = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
	return { first: dayOf(first), next: dayOf(next) };
}

export function startOfDay(day: number): number {
	return day * dayMs;
}

function emptyRow(key: Pick<UsageRow, "day" | "user" | "device" | "provider" | "model">): UsageRow {
	return { ...key, requests: 0, failures: 0, input_tokens: 0, output_tokens: 0, cached_tokens: 0, estimated: 0 };
}

function sum(a: UsageRow, b: UsageRow): UsageRow {
	return {
		...a,
		requests: a.requests + b.requests,
		failures: a.failures + b.failures,
		input_tokens: a.input_tokens + b.input_tokens,
		output_tokens: a.output_tokens + b.output_tokens,
		cached_tokens: a.cached_tokens + b.cached_tokens,
		estimated: a.estimated + b.estimated,
	};
}

/** PostgreSQL gives 64-bit numbers as text. */
function asNumbers(row: UsageRow): UsageRow {
	return {
		...row,
		requests: Number(row.requests),
		failures: Number(row.failures),
		input_tokens: Number(row.input_tokens),
		output_tokens: Number(row.output_tokens),
		cached_tokens: Number(row.cached_tokens),
		estimated: Number(row.estimated),
	};
}
