import { refusedBy } from "../api/credentials.ts";
import { ApiError } from "../api/exchange.ts";
import { type MachineId, pathOn, self } from "../api/machine.ts";
import { api } from "../api/warren.tsx";

/** One file on its way to a machine. `fetch` tells nothing about an upload's progress, so this is XMLHttpRequest. */
export interface Upload {
	/** Resolves with where the file is now. Rejects with ApiError, or AbortError after `cancel`. */
	readonly done: Promise<{ path: string; size: number }>;
	cancel(): void;
}

export function startUpload(
	machine: MachineId,
	session: string,
	file: File,
	onProgress: (fraction: number) => void,
): Upload {
	const request = new XMLHttpRequest();
	const path = `/api/sessions/${encodeURIComponent(session)}/files?name=${encodeURIComponent(file.name)}`;
	const done = new Promise<{ path: string; size: number }>((resolve, reject) => {
		request.open("POST", pathOn(machine, path));
		for (const [name, value] of Object.entries(api.headersFor(machine))) request.setRequestHeader(name, value);
		request.setRequestHeader("accept", "application/json");
		request.setRequestHeader("content-type", "application/octet-stream");
		request.upload.onprogress = ({ loaded, total }) => onProgress(total === 0 ? 0 : loaded / total);
		request.onload = () => {
			const body = parse(request.responseText);
			if (request.status === 201) return resolve(body as unknown as { path: string; size: number });
			if (request.status === 401) {
				api.credentials.drop(refusedBy(machine, (name) => request.getResponseHeader(name)).machine);
			}
			reject(new ApiError(request.status, body));
		};
		request.onerror = () =>
			reject(
				new ApiError(0, {
					error: "unreachable",
					message: `${machine === self ? "The machine" : "The relay"} went away during the upload.`,
					fix: "Nothing is kept of a broken upload; send the file again.",
					retryable: true,
				}),
			);
		request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
	});
	request.send(file);
	return { done, cancel: () => request.abort() };
}

function parse(text: string): Record<string, unknown> {
	try {
		return JSON.parse(text) as Record<string, unknown>;
	} catch {
		// No JSON: the status alone tells.
		return {};
	}
}
