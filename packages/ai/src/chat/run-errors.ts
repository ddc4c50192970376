import type { Provider } from "../providers/provider-table.ts";

/** Why a run ended without its answer: for programs, and in words for people. Closed catalogue. */
export type RunErrorCode =
	| "provider_refused_key"
	| "provider_rate_limited"
	| "provider_failed"
	| "provider_unreachable"
	| "provider_refused_request"
	| "unknown_model"
	| "no_provider_key"
	| "ollama_not_configured"
	| "ollama_unreachable"
	| "ollama_in_cloud"
	| "answer_too_long"
	| "cancelled";

export interface RunError {
	readonly code: RunErrorCode;
	readonly message: string;
	readonly retryable: boolean;
}

/**
 * What a provider's failure may say here. Its own text never passes: it can hold keys, addresses and whatever a proxy
 * in between wrote; and its 401 is about the hub's key, which must never look like a session's end.
 */
export function runErrorOf(provider: Provider, raw: string, origin: string): RunError {
	const { name } = provider;
	const status = statusIn(raw);
	if (status === 401 || status === 403 || (status === null && /api key|unauthorized/i.test(raw)))
		return {
			code: "provider_refused_key",
			message: `${name} refused the key${provider.keyVariable === null ? "" : ` (${provider.keyVariable})`}.`,
			retryable: false,
		};
	if (status === 429)
		return { code: "provider_rate_limited", message: `${name} takes no more requests right now.`, retryable: true };
	if (status === 404 || /model.{0,40}not found/i.test(raw))
		return { code: "unknown_model", message: `${name} does not have this model.`, retryable: false };
	if (status !== null && status >= 400 && status < 500)
		return { code: "provider_refused_request", message: `${name} refused the request (${status}).`, retryable: false };
	if (status !== null) return { code: "provider_failed", message: `${name} failed (${status}).`, retryable: true };
	if (/fetch failed|ECONN|ENOTFOUND|EAI_AGAIN|connection error|socket|network|timed? ?out/i.test(raw))
		return provider.id === "ollama"
			? ollamaUnreachable(origin)
			: { code: "provider_unreachable", message: `${name} cannot be reached, or broke off.`, retryable: true };
	return { code: "provider_failed", message: `${name} broke off the answer.`, retryable: true };
}

export function ollamaUnreachable(origin: string): RunError {
	return { code: "ollama_unreachable", message: `Cannot reach Ollama at ${origin}. Is it running?`, retryable: true };
}

/** Vendors' clients begin their messages with it, or hold it as JSON. */
function statusIn(raw: string): number | null {
	const match = /^(?:[A-Za-z ]+:? ?)?([45]\d\d)\b/.exec(raw) ?? /"(?:code|status)"\s*:\s*([45]\d\d)\b/.exec(raw);
	return match === null ? null : Number(match[1]);
}
