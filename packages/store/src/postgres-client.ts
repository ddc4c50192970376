import { type HealthTable, messageOf } from "@warren/kernel";
import { Client, type ClientConfig } from "pg";
import { storeConditions } from "./conditions.ts";
import { storeError } from "./errors.ts";

/** A statement that takes longer counts as unanswered: its connection is cut, whatever became of it. */
const answerMs = 10_000;

/** SQLSTATE classes and codes that mean "not now": connection faults, shutting down, starting up, no slot free. */
const awayStates = /^(08|57P0[123]|53300)/;
const awayErrnos = new Set([
	"ECONNREFUSED",
	"ECONNRESET",
	"ENOENT",
	"ENOTFOUND",
	"EAI_AGAIN",
	"EPIPE",
	"ETIMEDOUT",
	"EHOSTUNREACH",
	"ENETUNREACH",
]);
/** SQLSTATE: no space for what is to be written. */
const diskFull = "53100";
/** The driver's, then those of Workers' sockets. */
const awayMessages =
	/^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection|proxy request failed|Network connection lost|Stream was cancelled)/;

/** Tells one condition for all of a pool's connections. */
export class PostgresPresence {
	readonly where: string;
	readonly #health: HealthTable | undefined;
	#away = false;

	constructor(where: string, health: HealthTable | undefined) {
		this.where = where;
		this.#health = health;
	}

	/** An answer came, even a refusal. */
	here(): void {
		if (!this.#away) return;
		this.#away = false;
		this.#health?.clear(storeConditions.databaseAway, this.where);
	}

	/** @returns what to throw: `store_away` when it does not answer, `store_full`, else the fault itself. */
	fault(cause: unknown): unknown {
		if (!isAway(cause)) {
			this.here();
			if ((cause as { code?: unknown } | null)?.code !== diskFull) return cause;
			return storeError("store_full", "The database's disk is full: nothing was written.", {
				fix: "Free some space there.",
				cause,
			});
		}
		this.#away = true;
		const fault = messageOf(cause);
		this.#health?.raise(storeConditions.databaseAway, { where: this.where, fault }, this.where);
		return storeError("store_away", `The database ${this.where} does not answer: ${fault}.`, { cause });
	}

	close(): void {
		this.#health?.clear(storeConditions.databaseAway, this.where);
	}
}

/** A class of clients that never wait for ever. */
export function watchedClient(presence: PostgresPresence) {
	return class extends Client {
		constructor(config?: string | ClientConfig) {
			super(config);
			// Between two statements of a pool's client nobody else listens.
			this.on("error", () => {});
		}

		// The driver's own signatures are many; the pool's users call the one that gives a promise.
		override query(...args: any[]): any {
			const asked = (super.query as (...args: any[]) => any)(...args);
			if (!(asked instanceof Promise)) return asked;
			const late = setTimeout(() => this.#cut(), answerMs);
			late.unref();
			return asked.then(
				(answer) => {
					clearTimeout(late);
					// A socket of Workers may break without a reason, and the driver then has no error to give.
					if (answer === undefined) throw presence.fault(new Error("Connection terminated unexpectedly"));
					presence.here();
					return answer;
				},
				(cause: unknown) => {
					clearTimeout(late);
					// The server's last word comes before its end: the pool must not hand this one out in between.
					if (isAway(cause)) this.end().catch(() => {});
					throw presence.fault(cause);
				},
			);
		}

		#cut(): void {
			const { stream } = (this as unknown as { connection: { stream: { destroy(): void } } }).connection;
			stream.destroy();
		}
	};
}

function isAway(cause: unknown): boolean {
	const code = String((cause as { code?: unknown } | null)?.code ?? "");
	return awayStates.test(code) || awayErrnos.has(code) || awayMessages.test(messageOf(cause));
}
