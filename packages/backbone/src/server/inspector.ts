import type { Clock, Random } from "@warren/kernel";
import { newId } from "@warren/kernel";
import type { Caller } from "../identity/callers.ts";
import type { RequestHead } from "../protocol/request-head.ts";
import { isSecretField, redactedTarget, redactedText } from "./redaction.ts";

export const inspectorLimits = {
	/** Exchanges kept of one service, the newest. */
	maxPerService: 100,
	/** Of a request's body, kept for a replay; a longer one cannot be replayed. */
	maxBodyBytes: 64 * 1024,
	/** Of an answer's body, shown. */
	maxAnswerBytes: 8 * 1024,
} as const;

/** One request and its answer, as the inspector shows it. */
export interface ExchangeRecord {
	readonly id: string;
	readonly service: string;
	readonly at: number;
	readonly method: string;
	readonly target: string;
	readonly principal: string | null;
	readonly address: string;
	/** Redacted. */
	readonly headers: readonly (readonly [string, string])[];
	readonly status: number;
	readonly durationMs: number;
	readonly request_bytes: number;
	readonly answer_bytes: number;
	readonly replayable: boolean;
}

/** An exchange while it runs. Observes; never touches what passes. */
export class Exchange {
	readonly id: string;
	readonly #inspector: Inspector;
	readonly #facts: Omit<ExchangeRecord, "status" | "durationMs" | "request_bytes" | "answer_bytes" | "replayable">;
	readonly body: Buffer[] = [];
	#requestBytes = 0;
	#answerBytes = 0;

	constructor(inspector: Inspector, facts: Exchange["facts"]) {
		this.id = facts.id;
		this.#inspector = inspector;
		this.#facts = facts;
	}

	get facts() {
		return this.#facts;
	}

	requestBytes(piece: Buffer): void {
		this.#requestBytes += piece.length;
		if (this.#requestBytes <= inspectorLimits.maxBodyBytes) this.body.push(Buffer.from(piece));
	}

	answerBytes(piece: Buffer): void {
		this.#answerBytes += piece.length;
	}

	done(status: number, durationMs: number): void {
		this.#inspector.keep(this, {
			...this.#facts,
			status,
			durationMs,
			request_bytes: this.#requestBytes,
			answer_bytes: this.#answerBytes,
			replayable: this.#requestBytes <= inspectorLimits.maxBodyBytes && status !== 101,
		});
	}
}

interface Kept {
	readonly record: ExchangeRecord;
	/** As it was forwarded, without identity: a replay is nobody's. */
	readonly body: Buffer;
	readonly kept: string;
	readonly host: string;
}

/** Recent exchanges of services that asked for it. In memory alone: a restart forgets them. */
export class Inspector {
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #asks: (service: string) => boolean;
	readonly #byService = new Map<string, Kept[]>();
	readonly #heads = new WeakMap<Exchange, { kept: string; host: string }>();

	/** @param asks whether a service of this name wants its exchanges recorded now. */
	constructor(clock: Clock, random: Random, asks: (service: string) => boolean) {
		this.#clock = clock;
		this.#random = random;
		this.#asks = asks;
	}

	begin(
		service: string,
		head: Pick<RequestHead, "method" | "host" | "kept">,
		target: string,
		caller: Caller,
		address: string,
	): Exchange {
		const exchange = new Exchange(this, {
			id: newId(this.#random, 16),
			service,
			at: this.#clock.now(),
			method: head.method,
			target: redactedTarget(target),
			principal: caller.principal?.principal_id ?? null,
			address,
			headers: redacted(head.kept),
		});
		this.#heads.set(exchange, { kept: withoutSecrets(head.kept), host: head.host });
		return exchange;
	}

	keep(exchange: Exchange, record: ExchangeRecord): void {
		const head = this.#heads.get(exchange);
		if (head === undefined || !this.#asks(record.service)) return;
		const list = this.#byService.get(record.service) ?? [];
		list.push({ record, body: Buffer.concat(exchange.body), ...head });
		if (list.length > inspectorLimits.maxPerService) list.shift();
		this.#byService.set(record.service, list);
	}

	/** Newest first. */
	list(service: string): ExchangeRecord[] {
		return (this.#byService.get(service) ?? []).map(({ record }) => record).reverse();
	}

	find(service: string, id: string): Kept | null {
		return this.#byService.get(service)?.find(({ record }) => record.id === id) ?? null;
	}

	/** A service changed or went: what it no longer asks for is forgotten. */
	settled(service: string): void {
		if (!this.#asks(service)) this.#byService.delete(service);
	}
}

function lines(kept: string): [string, string][] {
	return kept
		.split("\r\n")
		.filter((line) => line !== "")
		.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
}

function redacted(kept: string): [string, string][] {
	return lines(kept).map(([name, value]) => [name, isSecretField(name) ? redactedText : value.slice(0, 2000)]);
}

/** A replay carries no secret of the one who asked first. */
function withoutSecrets(kept: string): string {
	return lines(kept)
		.filter(([name]) => !isSecretField(name))
		.map(([name, value]) => `${name}: ${value}\r\n`)
		.join("");
}
