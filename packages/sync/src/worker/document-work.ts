import type { Closeable } from "@warren/kernel";
import type { DocumentJob, JobResults } from "./document-jobs.ts";

/** `poison`: the updates themselves cannot be worked on. `failed`: it could not be done now. */
export type JobOutcome<R> =
	| { readonly ok: true; readonly result: R }
	| { readonly ok: false; readonly why: "poison" | "failed" | "busy"; readonly message: string };

/** A job, or what reads it once its turn has come: of documents that wait, nothing is held in memory. */
export type JobSource<J extends DocumentJob> = J | (() => Promise<J>);

/** Where documents are built: a thread of its own (`Documents`), or right here where there are no threads. */
export interface DocumentWork extends Closeable {
	/** Rejects only with what its source throws. */
	run<J extends DocumentJob>(source: JobSource<J>): Promise<JobOutcome<JobResults[J["kind"]]>>;
	/** @throws WarrenError `worker_failed`, `overloaded`; and what its source throws. */
	need<J extends DocumentJob>(source: JobSource<J>): Promise<JobResults[J["kind"]]>;
}
