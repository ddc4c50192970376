import { type Clock, type Timer } from "@warren/kernel";

export const runLimits = {
	/** Of one run's events, as text; a run that says more is ended. */
	maxRunBytes: 4 * 1024 * 1024,
	/** How long a run goes on with nobody listening: a phone that changes networks comes back, a closed page does not. */
	graceMs: 30_000,
	/** How long an ended run can still be read. */
	keptMs: 5 * 60_000,
	heartbeatMs: 15_000,
	maxRunsPerUser: 16,
	/** Over all users; those that ended longest ago go first. */
	maxRuns: 500,
	/** Of all ended runs' events together; beyond it the same go first. */
	maxEndedBytes: 64 * 1024 * 1024,
} as const;

/** One event of a run, as JSON. */
interface Entry {
	readonly sequence: number;
	readonly json: string;
}

/**
 * One run's events, kept so that a reader who was cut off reads on where it was. The run itself does not wait for its
 * readers: what it may hold is bounded instead.
 *
 *   running ── its last event ──► ended ── keptMs ──► forgotten
 *      │ nobody listens for graceMs, cancelled, too long: aborted
 *      ▼
 *    ended
 */
export class ChatRun {
	readonly id: string;
	readonly user: string;
	readonly #clock: Clock;
	readonly #abort: AbortController;
	readonly #entries: Entry[] = [];
	readonly #waiting = new Set<() => void>();
	#bytes = 0;
	#readers = 0;
	#ended = false;
	#grace: Timer | null = null;

	constructor(facts: { readonly id: string; readonly user: string }, clock: Clock, abort: AbortController) {
		this.id = facts.id;
		this.user = facts.user;
		this.#clock = clock;
		this.#abort = abort;
	}

	get ended(): boolean {
		return this.#ended;
	}

	/** Of the events it holds, as text. */
	get bytes(): number {
		return Math.min(this.#bytes, runLimits.maxRunBytes);
	}

	/** @returns false when the run has said too much: nothing more is taken. */
	append(event: unknown): boolean {
		if (this.#ended) return false;
		const json = JSON.stringify(event);
		this.#bytes += json.length;
		if (this.#bytes > runLimits.maxRunBytes) return false;
		this.#entries.push({ sequence: this.#entries.length + 1, json });
		this.#wake();
		return true;
	}

	/** The last event, taken even when the run is full; null = the last one was. */
	end(event: unknown): void {
		if (this.#ended) return;
		if (event !== null) this.#entries.push({ sequence: this.#entries.length + 1, json: JSON.stringify(event) });
		this.#ended = true;
		this.#grace?.cancel();
		this.#wake();
	}

	cancel(): void {
		this.#abort.abort(new Error("cancelled"));
	}

	/**
	 * Events after `sequence` (`now` = those to come) as text of an event stream, until the run's end; a comment when nothing comes for a while,
	 * so that proxies keep the connection. Ends early when `signal` aborts.
	 */
	async *read(sequence: number | "now", signal: AbortSignal): AsyncGenerator<string, void, undefined> {
		this.#readers += 1;
		this.#grace?.cancel();
		this.#grace = null;
		try {
			let at = sequence === "now" ? this.#entries.length : sequence;
			while (!signal.aborted) {
				const entry = this.#entries[at];
				if (entry !== undefined) {
					at += 1;
					yield `id: ${this.id}:${entry.sequence}\ndata: ${entry.json}\n\n`;
				} else if (this.#ended) return;
				else if (!(await this.#more(signal))) yield ": still here\n\n";
			}
		} finally {
			this.#readers -= 1;
			this.#maybeAbandon();
		}
	}

	/** Begins the wait for a first reader, too. */
	#maybeAbandon(): void {
		if (this.#readers > 0 || this.#ended) return;
		this.#grace?.cancel();
		this.#grace = this.#clock.after(runLimits.graceMs, () => this.cancel());
	}

	/** @returns false when nothing happened for a heartbeat. */
	#more(signal: AbortSignal): Promise<boolean> {
		return new Promise((resolve) => {
			const settle = (happened: boolean) => {
				this.#waiting.delete(woken);
				signal.removeEventListener("abort", woken);
				heartbeat.cancel();
				resolve(happened);
			};
			const woken = () => settle(true);
			const heartbeat = this.#clock.after(runLimits.heartbeatMs, () => settle(false));
			this.#waiting.add(woken);
			signal.addEventListener("abort", woken, { once: true });
		});
	}

	#wake(): void {
		for (const woken of [...this.#waiting]) woken();
	}
}

/** `RUN:SEQUENCE`, `-1` (from the start) or `now`, as clients of resumable streams say where they are. */
export function parseOffset(text: string): { readonly run: string | null; readonly sequence: number | "now" } | null {
	if (text === "-1") return { run: null, sequence: 0 };
	if (text === "now") return { run: null, sequence: "now" };
	const match = /^([A-Za-z0-9._~-]{1,128}):(\d{1,9})$/.exec(text);
	return match === null ? null : { run: match[1] as string, sequence: Number(match[2]) };
}
