import { type Clock, messageOf } from "@warren/kernel";
import type { Upstream } from "./upstream.ts";

export interface Question {
	readonly origin: string;
	readonly path: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly timeoutMs: number;
	readonly maxBytes: number;
}

/** A short answer, whole. Rejects with an Error that says what went wrong. */
export function ask(
	upstream: Upstream,
	clock: Clock,
	{ origin, path, headers = {}, timeoutMs, maxBytes }: Question,
): Promise<{ readonly status: number; readonly text: string }> {
	return new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		let size = 0;
		let status = 0;
		let abort = (_reason: Error) => {};
		const late = clock.after(timeoutMs, () => abort(new Error(`it did not answer within ${timeoutMs} ms`)));
		upstream.dispatch(
			{ origin, path, method: "GET", headers: { ...headers } },
			{
				onRequestStart: (controller) => {
					abort = (reason) => controller.abort(reason);
				},
				onResponseStart: (_controller, code) => {
					status = code;
				},
				onResponseData: (controller, chunk) => {
					size += chunk.length;
					if (size > maxBytes) controller.abort(new Error("it is too long"));
					else chunks.push(chunk);
				},
				onResponseEnd: () => {
					late.cancel();
					resolve({ status, text: Buffer.concat(chunks).toString("utf8") });
				},
				onResponseError: (_controller, fault) => {
					late.cancel();
					reject(fault instanceof Error ? fault : new Error(messageOf(fault)));
				},
			},
		);
	});
}
