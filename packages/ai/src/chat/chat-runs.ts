import type { Clock, Closeable, Timer } from "@warren/kernel";
import { aiError } from "../errors.ts";
import { ChatRun, runLimits } from "./chat-run.ts";

/** Everybody's runs. A run belongs to whoever began it: nobody else reads, resumes or cancels it. */
export class ChatRuns implements Closeable {
	readonly #clock: Clock;
	readonly #runs = new Map<string, ChatRun>();
	/** What ended, the longest ended first, each with the end of its time here. */
	readonly #ended = new Map<ChatRun, Timer>();
	#endedBytes = 0;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** @throws WarrenError `too_many_streams`, `bad_chat` when the id is taken. */
	begin(user: string, id: string, abort: AbortController): ChatRun {
		const key = keyOf(user, id);
		if (this.#runs.has(key))
			throw aiError("bad_chat", `The run "${id}" exists already.`, { fix: "Send a fresh runId." });
		const running = [...this.#runs.values()].filter((run) => !run.ended);
		const own = running.filter((run) => run.user === user).length;
		if (own >= runLimits.maxRunsPerUser || running.length >= runLimits.maxRuns)
			throw aiError(
				"too_many_streams",
				`You have ${own} answers under way; ${runLimits.maxRunsPerUser} are the most.`,
				{
					details: { retryAfterMs: 1000 },
				},
			);
		if (this.#runs.size >= runLimits.maxRuns) this.#forgetOldest();
		const run = new ChatRun({ id, user }, this.#clock, abort);
		this.#runs.set(key, run);
		return run;
	}

	/** Keeps an ended run for whoever reads it late. */
	ended(run: ChatRun): void {
		this.#ended.set(
			run,
			this.#clock.after(runLimits.keptMs, () => this.#forget(run)),
		);
		this.#endedBytes += run.bytes;
		while (this.#endedBytes > runLimits.maxEndedBytes) this.#forgetOldest();
	}

	/** @throws WarrenError `unknown_run`. */
	get(user: string, id: string): ChatRun {
		const run = this.#runs.get(keyOf(user, id));
		if (run === undefined) throw aiError("unknown_run", `There is no run "${id.slice(0, 128)}" to read.`);
		return run;
	}

	close(): void {
		for (const run of this.#runs.values()) run.cancel();
	}

	#forgetOldest(): void {
		const [oldest] = this.#ended.keys();
		if (oldest !== undefined) this.#forget(oldest);
	}

	#forget(run: ChatRun): void {
		this.#ended.get(run)?.cancel();
		this.#ended.delete(run);
		this.#endedBytes -= run.bytes;
		this.#runs.delete(keyOf(run.user, run.id));
	}
}

function keyOf(user: string, id: string): string {
	return `${user}\n${id}`;
}
