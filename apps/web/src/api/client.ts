import { type Credential, type CredentialStore, refusedBy } from "./credentials.ts";
import { type MachineId, pathOn, self } from "./machine.ts";

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

export interface RequestOptions {
	readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
	readonly body?: unknown;
	readonly signal?: AbortSignal | undefined;
	/** Replaces the machine's stored token: Basic at sign-in, a share's bearer; null sends none. */
	readonly authorization?: string | null;
	readonly headers?: Readonly<Record<string, string>>;
	/** Longest wait for the answer's head. */
	readonly timeoutMs?: number;
}

export interface Api {
	request<T>(machine: MachineId, path: string, options?: RequestOptions): Promise<T>;
	/** The headers that prove this browser to a machine: for uploads, which need progress and so no fetch. */
	headersFor(machine: MachineId, authorization?: string | null): Record<string, string>;
	readonly credentials: CredentialStore;
}

const defaultTimeoutMs = 20_000;

export function createApi(credentials: CredentialStore, fetch: typeof globalThis.fetch): Api {
	function headersFor(machine: MachineId, authorization?: string | null): Record<string, string> {
		const own = bearer(credentials.get(self));
		if (machine === self) return withDefined({ authorization: authorization === undefined ? own : authorization });
		return withDefined({
			authorization: own,
			"x-mobux-upstream-authorization": authorization === undefined ? bearer(credentials.get(machine)) : authorization,
		});
	}

	async function request<T>(machine: MachineId, path: string, options: RequestOptions = {}): Promise<T> {
		const sent = headersFor(machine, options.authorization);
		const timeout = AbortSignal.timeout(options.timeoutMs ?? defaultTimeoutMs);
		let response: Response;
		try {
			response = await fetch(pathOn(machine, path), {
				method: options.method ?? "GET",
				headers: {
					accept: "application/json",
					...sent,
					...options.headers,
					...(options.body === undefined ? {} : { "content-type": "application/json" }),
				},
				...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
				signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
				cache: "no-store",
				credentials: "omit",
				redirect: "error",
			});
		} catch (failure) {
			if (options.signal?.aborted) throw failure;
			throw new ApiError(0, {
				error: timeout.aborted ? "timeout" : "unreachable",
				message: timeout.aborted
					? `No answer within ${(options.timeoutMs ?? defaultTimeoutMs) / 1000} s.`
					: "This page cannot reach the machine that served it.",
				fix: "Check that it is running and that you are on its network, or open another of your machines.",
				retryable: true,
			});
		}
		if (response.status === 204) return undefined as T;
		const body = await readJson(response);
		if (response.ok) return body as T;
		if (response.status === 401 && options.authorization === undefined) {
			const refused = refusedBy(machine, (name) => response.headers.get(name)).machine;
			const token = sentToken(sent, refused);
			if (token !== undefined) credentials.drop(refused, token);
		}
		throw new ApiError(response.status, typeof body === "object" && body !== null ? { ...body } : {});
	}

	return { request, headersFor, credentials };
}

async function readJson(response: Response): Promise<unknown> {
	try {
		return await response.json();
	} catch {
		// An answer that is no JSON (a proxy's page) is told by its status alone.
		return undefined;
	}
}

export function bearer(credential: Pick<Credential, "token"> | undefined): string | undefined {
	return credential === undefined ? undefined : `Bearer ${credential.token}`;
}

/** `Authorization: Basic` of any text, not only Latin-1. */
export function basic(user: string, pin: string): string {
	let binary = "";
	for (const byte of new TextEncoder().encode(`${user}:${pin}`)) binary += String.fromCharCode(byte);
	return `Basic ${btoa(binary)}`;
}

function sentToken(sent: Readonly<Record<string, string>>, refused: MachineId): string | undefined {
	const header = refused === self ? sent.authorization : sent["x-mobux-upstream-authorization"];
	return header?.startsWith("Bearer ") ? header.slice(7) : undefined;
}

function withDefined(headers: Readonly<Record<string, string | null | undefined>>): Record<string, string> {
	return Object.fromEntries(
		Object.entries(headers).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
	);
}
