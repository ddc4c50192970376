import { ApiError } from "../api/exchange.ts";

/** An event of a run, as far as the page reads it (AG-UI). */
export interface RunEvent {
	readonly type: string;
	readonly delta?: string;
	readonly message?: string;
	readonly code?: string;
	readonly retryable?: boolean;
	readonly toolCallName?: string;
}

export interface ChatBody {
	readonly provider: string;
	readonly model: string;
	readonly runId: string;
	readonly threadId: string;
	readonly messages: readonly unknown[];
	/** The model may read and change this person's workspaces. */
	readonly workspaces: boolean;
}

export interface ChatCall {
	readonly fetch: typeof globalThis.fetch;
	readonly headers: Readonly<Record<string, string>>;
	readonly signal: AbortSignal;
	/** Waits before a resumption; tests hand in their own. */
	readonly wait: (ms: number) => Promise<void>;
}

const path = "/ai/chat";
const maxResumes = 8;
const firstWaitMs = 300;
const maxWaitMs = 5_000;

/**
 * A run's events in order, each once. A connection that breaks in the middle is taken up after the last event; one that
 * was refused is an error.
 * @throws ApiError as the hub refused, or `run_lost` when it could not be taken up again.
 */
export async function* chatEvents(body: ChatBody, call: ChatCall): AsyncGenerator<RunEvent, void, undefined> {
	let lastId: string | null = null;
	for (let resumes = 0; ; resumes += 1) {
		const before: string | null = lastId;
		let ended = false;
		try {
			for await (const { id, event } of oneConnection(body, lastId, call)) {
				if (id !== "" && id === lastId) continue;
				lastId = id === "" ? lastId : id;
				ended = event.type === "RUN_FINISHED" || event.type === "RUN_ERROR";
				yield event;
				if (ended) return;
			}
		} catch (failure) {
			if (call.signal.aborted) return;
			const refused = failure instanceof ApiError && failure.status > 0 && failure.status !== 503;
			if (lastId === null || refused) throw failure;
		}
		if (call.signal.aborted) return;
		if (before !== lastId) resumes = 0;
		if (lastId === null || resumes >= maxResumes)
			throw new ApiError(0, {
				error: "run_lost",
				message: "The connection broke off, and the answer could not be taken up again.",
				retryable: true,
			});
		await call.wait(Math.min(maxWaitMs, firstWaitMs * 2 ** resumes));
	}
}

async function* oneConnection(
	body: ChatBody,
	lastId: string | null,
	{ fetch, headers, signal }: ChatCall,
): AsyncGenerator<{ id: string; event: RunEvent }, void, undefined> {
	const response = await fetch(path, {
		method: "POST",
		headers: {
			accept: "text/event-stream",
			"content-type": "application/json",
			...headers,
			...(lastId === null ? {} : { "last-event-id": lastId }),
		},
		body: lastId === null ? JSON.stringify(body) : "{}",
		signal,
		cache: "no-store",
		credentials: "omit",
		redirect: "error",
	});
	if (!response.ok || response.body === null) {
		const refusal: unknown = await response.json().catch(() => ({}));
		throw new ApiError(response.status, typeof refusal === "object" && refusal !== null ? { ...refusal } : {});
	}
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let held = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		held += value;
		for (let end = held.indexOf("\n\n"); end !== -1; end = held.indexOf("\n\n")) {
			const parsed = parseEvent(held.slice(0, end));
			held = held.slice(end + 2);
			if (parsed !== null) yield parsed;
		}
	}
}

/** Comments and what is no JSON are passed over. */
function parseEvent(block: string): { id: string; event: RunEvent } | null {
	let id = "";
	let data = "";
	for (const line of block.split("\n")) {
		if (line.startsWith("id: ")) id = line.slice(4);
		else if (line.startsWith("data: ")) data += line.slice(6);
	}
	if (data === "") return null;
	try {
		return { id, event: JSON.parse(data) as RunEvent };
	} catch {
		// Not ours: the next event may be.
		return null;
	}
}
