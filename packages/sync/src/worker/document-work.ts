import type { Closeable } from "@warren/kernel";
import type { DocumentJob, JobResults } from "./document-jobs.ts";

/** `poison`: the updates themselves cannot be worked on. `failed`: it could not be done now. */
export type JobOutcome<R> =
	| { readonly ok: true; readonly result: R }
	| { readonly ok: false; readonly why: "poison" | "failed" | "busy"; readonly message: string };

/** Where documents are built: a thread of its own (`Documents`), or right here where there are no threads. */
export interface DocumentWork extends Closeable {
	run<J extends DocumentJob>(job: J): Promise<JobOutcome<JobResults[J["kind"]]>>;
	/** @throws WarrenError `worker_failed`, `overloaded`. */
	need<J extends DocumentJob>(job: J): Promise<JobResults[J["kind"]]>;
}
