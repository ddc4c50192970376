import {
	Backoff,
	type Clock,
	delay,
	type HealthTable,
	type Logger,
	messageOf,
	type Random,
	WarrenError,
} from "@warren/kernel";
import type { StreamEvent } from "../protocol/sse.ts";
import { joinerConditions } from "./conditions.ts";
import type { CoordinatorLink } from "./coordinator-link.ts";
import { joinerLimits } from "./joiner-options.ts";
import type { Registration } from "./registration.ts";

export interface CoordinatorSessionDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly link: CoordinatorLink;
	readonly registration: Registration;
	readonly onEvent: (event: string, value: unknown) => void;
	/** The joiner stops. */
	readonly signal: AbortSignal;
}

/**
 * Stays with the coordinators: registered, and on the stream of the first of them that answers.
 *
 *   unknown ──registered──► known ──► streaming
 *      ▲                      │  ▲        │
 *      └── 401, 404, moved ───┘  └─ ended ┘
 */
export class CoordinatorSession {
	readonly #deps: CoordinatorSessionDeps;
	#lastEventId: string | null = null;
	#isStreaming = false;
	/** Ends the stream of a coordinator that another is preferred to. */
	#elsewhere = new AbortController();
	/** It has just been turned to again: a refusal sends this machine back. */
	#hasReturned = false;
	#returnAt = 0;

	constructor(deps: CoordinatorSessionDeps) {
		this.#deps = deps;
	}

	/** Changes come by themselves. */
	get isStreaming(): boolean {
		return this.#isStreaming;
	}

	/** A registration has brought the whole roster: what the stream told before counts no more. */
	beginAnew(): void {
		this.#lastEventId = null;
	}

	/** Until the signal: the stream, then all over again. */
	async run(): Promise<void> {
		const { clock, random, logger, link, registration, signal } = this.#deps;
		const backoff = new Backoff(joinerLimits.backoff, random);
		while (!signal.aborted) {
			const { url } = link;
			const elsewhere = this.#elsewhere.signal;
			try {
				if (!registration.isKnown) await registration.register();
				const openedAt = clock.monotonic();
				await link.stream(
					`/v1/mesh/peers/stream?peer_id=${registration.peerId}&deltas=1`,
					this.#lastEventId,
					(event) => this.#receive(event),
					AbortSignal.any([signal, elsewhere]),
				);
				if (clock.monotonic() - openedAt > joinerLimits.backoff.maxMs) backoff.reset();
			} catch (failure) {
				if (signal.aborted) return;
				if (elsewhere.aborted) backoff.reset();
				else this.failed(failure, url);
				logger.debug("the coordinator's stream ended", { fault: messageOf(failure) });
			}
			this.#isStreaming = false;
			await delay(clock, backoff.nextMs(), signal).catch(() => {});
		}
	}

	/** @param url of the coordinator that was asked. */
	failed(failure: unknown, url: string): void {
		const { health, registration, link, clock } = this.#deps;
		const status = failure instanceof WarrenError ? failure.status : 0;
		const isRefused = status === 401 || status === 403 || status === 409;
		// Unknown there: a coordinator that was restarted, or we were silent for too long.
		if (status === 401 || status === 404) registration.isKnown = false;
		if (isRefused) health.raise(joinerConditions.refused, { fault: messageOf(failure) });
		if (failure instanceof WarrenError && failure.code === "coordinator_away") {
			health.raise(joinerConditions.coordinatorAway, { fault: messageOf(failure) });
			if (link.hasOthers) this.#leave(url);
		} else if (this.#hasReturned && isRefused) {
			this.#returnAt = clock.monotonic() + joinerLimits.returnPauseMs;
			this.#leave(url);
		}
	}

	/** Of the coordinator that a failure now is about: a return to an earlier one may have changed that. */
	blamed(asked: string): string {
		return this.#hasReturned ? this.#deps.link.url : asked;
	}

	/** With a spare coordinator: back to the one before it as soon as that answers. @throws WarrenError. */
	async returnToEarlier(): Promise<void> {
		const { link, clock, logger, registration, signal } = this.#deps;
		if (!link.isSpare || clock.monotonic() < this.#returnAt) return;
		if (!(await link.returnToEarlier(signal))) return;
		logger.info("an earlier coordinator answers again", { coordinator: link.url });
		registration.isKnown = false;
		this.#hasReturned = true;
		this.#elsewhere.abort(new Error("an earlier coordinator answers again"));
		this.#elsewhere = new AbortController();
		await registration.register();
		this.#hasReturned = false;
	}

	#leave(url: string): void {
		const { link, registration } = this.#deps;
		if (url !== link.url) return;
		link.next(url);
		registration.isKnown = this.#hasReturned = false;
	}

	#receive({ event, data, id }: StreamEvent): void {
		let value: unknown;
		try {
			value = JSON.parse(data);
		} catch {
			// One unreadable event: the next snapshot or heartbeat mends what it said.
			return;
		}
		this.#isStreaming = true;
		this.#deps.health.clear(joinerConditions.coordinatorAway);
		if (event === "error") this.#deps.registration.isKnown = false;
		else this.#deps.onEvent(event, value);
		// The id only once what came before it is in the table.
		if (id !== null) this.#lastEventId = id;
	}
}
