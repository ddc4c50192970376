import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "@warren/kernel";
import { syncError } from "../errors.ts";
import type { DocumentJob, JobResults } from "./document-jobs.ts";
import type { DocumentWork, JobOutcome, JobSource } from "./document-work.ts";

export const workerLimits = {
	/** Jobs that wait; above it the caller does without, or tries later. */
	maxQueuedJobs: 64,
	/** A job that takes longer is a trap: its worker is ended, and another one started. */
	jobTimeoutMs: 60_000,
	maxHeapMegabytes: 1_024,
	/** Small, so that a busy moment leaves little behind. */
	maxYoungMegabytes: 16,
	/** A worker without work is ended after this: its heap is the only large one. */
	idleMs: 5_000,
} as const;

interface Waiting {
	readonly id: number;
	readonly source: JobSource<DocumentJob>;
	readonly settle: (outcome: JobOutcome<never>) => void;
	readonly fail: (fault: unknown) => void;
}

/** Builds documents in one worker thread, one job after another: never on the thread that serves sockets. */
export class Documents implements DocumentWork {
	readonly #clock: Clock;
	readonly #jobTimeoutMs: number;
	readonly #queue: Waiting[] = [];
	#worker: Worker | null = null;
	#running: Waiting | null = null;
	#timer: Timer | undefined;
	#nextId = 1;
	#closed = false;

	constructor(clock: Clock, jobTimeoutMs: number = workerLimits.jobTimeoutMs) {
		this.#clock = clock;
		this.#jobTimeoutMs = jobTimeoutMs;
	}

	run<J extends DocumentJob>(source: JobSource<J>): Promise<JobOutcome<JobResults[J["kind"]]>> {
		return new Promise((resolve, reject) => {
			if (this.#closed || this.#queue.length >= workerLimits.maxQueuedJobs) {
				resolve({ ok: false, why: "busy", message: `${this.#queue.length} jobs wait already` });
				return;
			}
			this.#queue.push({ id: this.#nextId++, source, settle: resolve, fail: reject });
			this.#next();
		});
	}

	/** @throws WarrenError `worker_failed`, where there is no other way than the worker. */
	async need<J extends DocumentJob>(source: JobSource<J>): Promise<JobResults[J["kind"]]> {
		const outcome = await this.run(source);
		if (outcome.ok) return outcome.result;
		throw syncError(outcome.why === "busy" ? "overloaded" : "worker_failed", `${outcome.message}.`);
	}

	async close(): Promise<void> {
		this.#closed = true;
		for (const waiting of this.#queue.splice(0)) waiting.settle(failed("the relay is closing"));
		await this.#end("the relay is closing");
	}

	#next(): void {
		if (this.#running !== null) return;
		const next = this.#queue.shift();
		this.#timer?.cancel();
		if (next === undefined) {
			this.#timer = this.#clock.after(workerLimits.idleMs, () => void this.#end("idle"));
			return;
		}
		this.#running = next;
		if (typeof next.source === "function") void this.#read(next, next.source);
		else this.#give(next, next.source);
	}

	async #read(next: Waiting, source: () => Promise<DocumentJob>): Promise<void> {
		try {
			const job = await source();
			// It was closed meanwhile, and has been settled.
			if (this.#running === next) this.#give(next, job);
		} catch (fault) {
			next.fail(fault);
			if (this.#running !== next) return;
			this.#running = null;
			this.#next();
		}
	}

	#give({ id }: Waiting, job: DocumentJob): void {
		this.#timer = this.#clock.after(this.#jobTimeoutMs, () => void this.#end(`it took over ${this.#jobTimeoutMs} ms`));
		this.#worker ??= this.#start();
		this.#worker.postMessage({ id, job });
	}

	#start(): Worker {
		const worker = new Worker(new URL("./document-worker.ts", import.meta.url), {
			resourceLimits: {
				maxOldGenerationSizeMb: workerLimits.maxHeapMegabytes,
				maxYoungGenerationSizeMb: workerLimits.maxYoungMegabytes,
			},
		});
		worker.unref();
		worker.on("message", (answer: { id: number; ok: boolean; result: never; message: string }) => {
			if (this.#worker !== worker || this.#running?.id !== answer.id) return;
			this.#settle(
				answer.ok ? { ok: true, result: answer.result } : { ok: false, why: "poison", message: answer.message },
			);
		});
		const lost = (message: string) => {
			if (this.#worker !== worker) return;
			this.#worker = null;
			this.#settle(failed(message));
		};
		worker.on("error", (fault: Error) => lost(`the worker failed: ${fault.message}`));
		worker.on("exit", (code) => lost(`the worker ended with code ${code}`));
		return worker;
	}

	async #end(message: string): Promise<void> {
		const worker = this.#worker;
		this.#worker = null;
		this.#timer?.cancel();
		this.#settle(failed(message));
		await worker?.terminate();
	}

	#settle(outcome: JobOutcome<never>): void {
		const running = this.#running;
		if (running === null) return;
		this.#running = null;
		running.settle(outcome);
		this.#next();
	}
}

function failed(message: string): JobOutcome<never> {
	return { ok: false, why: "failed", message };
}
