import { parentPort } from "node:worker_threads";
import { messageOf } from "@warren/kernel";
import { type DocumentJob, runDocumentJob } from "./document-jobs.ts";

/** The worker thread: one job at a time, each answered once. */
parentPort?.on("message", ({ id, job }: { id: number; job: DocumentJob }) => {
	try {
		parentPort?.postMessage({ id, ok: true, result: runDocumentJob(job) });
	} catch (thrown) {
		parentPort?.postMessage({ id, ok: false, message: messageOf(thrown) });
	}
});
