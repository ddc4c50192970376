import { messageOf } from "@warren/kernel";
import { syncError } from "../errors.ts";
import { type DocumentJob, type JobResults, runDocumentJob } from "./document-jobs.ts";
import type { DocumentWork, JobOutcome, JobSource } from "./document-work.ts";

/** For a relay that serves one room alone, where the platform has no threads: the room waits for its own document. */
export class InlineDocuments implements DocumentWork {
	async run<J extends DocumentJob>(source: JobSource<J>): Promise<JobOutcome<JobResults[J["kind"]]>> {
		const job = typeof source === "function" ? await source() : source;
		try {
			return { ok: true, result: runDocumentJob(job) };
		} catch (fault) {
			return { ok: false, why: "poison", message: messageOf(fault) };
		}
	}

	async need<J extends DocumentJob>(source: JobSource<J>): Promise<JobResults[J["kind"]]> {
		const outcome = await this.run(source);
		if (outcome.ok) return outcome.result;
		throw syncError("worker_failed", `${outcome.message}.`);
	}

	close(): void {}
}
