/** Tokens of one request; `input` includes what came from a cache. */
export interface TokenCounts {
	readonly input: number;
	readonly output: number;
	readonly cached: number;
}

/** What one JSON value of an answer says about itself. */
export interface UsageFacts {
	readonly model?: string;
	readonly counts: Partial<TokenCounts>;
}

const maxTokens = 1_000_000_000;

/**
 * Reads model and tokens out of one JSON value of any provider's format: a whole answer, or one event of a stream. The
 * provider is not trusted with more than numbers in bounds.
 */
export function readUsage(value: unknown): UsageFacts {
	const root = recordOf(value);
	if (root === null) return { counts: {} };
	const inner = recordOf(root["response"]) ?? recordOf(root["message"]);
	const model = textOf(root["model"]) ?? textOf(inner?.["model"]) ?? textOf(root["modelVersion"]);
	const usage =
		recordOf(root["usage"]) ?? recordOf(inner?.["usage"]) ?? recordOf(recordOf(root["x_groq"])?.["usage"]) ?? null;
	const counts =
		usage !== null
			? ofUsage(usage)
			: recordOf(root["usageMetadata"]) !== null
				? ofGemini(root["usageMetadata"] as Record<string, unknown>)
				: ofOllama(root);
	return { ...(model === undefined ? {} : { model }), counts };
}

/** OpenAI (chat and responses), Anthropic, and all that copy them. */
function ofUsage(usage: Record<string, unknown>): Partial<TokenCounts> {
	const cacheRead = countOf(usage["cache_read_input_tokens"]);
	const cacheWritten = countOf(usage["cache_creation_input_tokens"]);
	const input = countOf(usage["input_tokens"]) ?? countOf(usage["prompt_tokens"]);
	const output = countOf(usage["output_tokens"]) ?? countOf(usage["completion_tokens"]);
	const details = recordOf(usage["input_tokens_details"]) ?? recordOf(usage["prompt_tokens_details"]);
	const cached = cacheRead ?? countOf(details?.["cached_tokens"]);
	return {
		// Anthropic counts what came from its cache beside the input; the others count it within.
		...(input === undefined ? {} : { input: input + (cacheRead ?? 0) + (cacheWritten ?? 0) }),
		...(output === undefined ? {} : { output }),
		...(cached === undefined ? {} : { cached }),
	};
}

function ofGemini(usage: Record<string, unknown>): Partial<TokenCounts> {
	const input = countOf(usage["promptTokenCount"]);
	const candidates = countOf(usage["candidatesTokenCount"]);
	const thoughts = countOf(usage["thoughtsTokenCount"]);
	const cached = countOf(usage["cachedContentTokenCount"]);
	return {
		...(input === undefined ? {} : { input }),
		...(candidates === undefined && thoughts === undefined ? {} : { output: (candidates ?? 0) + (thoughts ?? 0) }),
		...(cached === undefined ? {} : { cached }),
	};
}

function ofOllama(root: Record<string, unknown>): Partial<TokenCounts> {
	const input = countOf(root["prompt_eval_count"]);
	const output = countOf(root["eval_count"]);
	return { ...(input === undefined ? {} : { input }), ...(output === undefined ? {} : { output }) };
}

function countOf(value: unknown): number | undefined {
	return typeof value === "number" && Number.isFinite(value) && value >= 0
		? Math.min(Math.floor(value), maxTokens)
		: undefined;
}

function recordOf(value: unknown): Record<string, unknown> | null {
	return typeof value === "object" && value !== null && !Array.isArray(value)
		? (value as Record<string, unknown>)
		: null;
}

function textOf(value: unknown): string | undefined {
	return typeof value === "string" && value !== "" ? value : undefined;
}
