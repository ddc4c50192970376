import { pendingChanges } from "./pending-changes.ts";

/** An API's refusal as people read it: what happened, what to do, and a code to search for. */
export class ApiError extends Error {
	/** 0 when no answer came at all. */
	readonly status: number;
	readonly code: string;
	readonly fix: string;
	readonly retryable: boolean;
	readonly details: Readonly<Record<string, unknown>>;

	constructor(status: number, body: Readonly<Record<string, unknown>>) {
		super(typeof body.message === "string" ? body.message : `The machine answered ${status} without saying why.`);
		this.name = "ApiError";
		this.status = status;
		this.code = typeof body.error === "string" ? body.error : `http_${status}`;
		this.fix = typeof body.fix === "string" ? body.fix : "";
		this.retryable = typeof body.retryable === "boolean" ? body.retryable : status === 0 || status >= 500;
		this.details = body;
	}
}

export interface ExchangeOptions {
	readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
	readonly body?: unknown;
	readonly signal?: AbortSignal | undefined;
	readonly headers?: Readonly<Record<string, string>>;
	/** Longest wait for the answer's head. */
	readonly timeoutMs?: number;
	/** Sends and takes this origin's cookies: only where a flow of several steps keeps its state in one. */
	readonly cookies?: boolean;
}

const defaultTimeoutMs = 20_000;

/** One request of this origin. @throws ApiError when no answer comes; the abort's reason when the caller gave up. */
export async function exchange(
	fetch: typeof globalThis.fetch,
	path: string,
	options: ExchangeOptions,
): Promise<Response> {
	const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
	const timeout = AbortSignal.timeout(timeoutMs);
	const method = options.method ?? "GET";
	try {
		const answer = fetch(path, {
			method,
			headers: {
				accept: "application/json",
				...options.headers,
				...(options.body === undefined ? {} : { "content-type": "application/json" }),
			},
			...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
			signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
			cache: "no-store",
			credentials: options.cookies === true ? "same-origin" : "omit",
			redirect: "error",
		});
		// What is only read has a skeleton in its place.
		return await (method === "GET" ? answer : pendingChanges.follow(answer));
	} catch (failure) {
		if (options.signal?.aborted) throw failure;
		throw new ApiError(0, {
			error: timeout.aborted ? "timeout" : "unreachable",
			message: timeout.aborted
				? `No answer within ${timeoutMs / 1000} s.`
				: "This page cannot reach the machine that served it.",
			fix: "Check that it is running and that you are on its network, or open another of your machines.",
			retryable: true,
		});
	}
}

/** The answer's body. @throws ApiError for a refusal. */
export async function bodyOf<T>(response: Response): Promise<T> {
	if (response.status === 204) return undefined as T;
	const body = await readJson(response);
	if (response.ok) return body as T;
	throw refusalOf(response, body);
}

export function refusalOf(response: Response, body: unknown): ApiError {
	const fields = typeof body === "object" && body !== null ? body : {};
	const seconds = Number(response.headers.get("retry-after"));
	// Who reads a page sees no headers.
	const fix = response.status === 429 && seconds > 0 ? { fix: `Wait ${Math.ceil(seconds)} s, then try again.` } : {};
	return new ApiError(response.status, { ...fields, ...fix });
}

export async function readJson(response: Response): Promise<unknown> {
	try {
		return await response.json();
	} catch {
		// An answer that is no JSON (a proxy's page) is told by its status alone.
		return undefined;
	}
}
