import type { StreamChunk } from "@tanstack/ai";
import { type Clock, type Logger, messageOf, WarrenError } from "@warren/kernel";
import type { ProviderOrigins } from "../providers/origins.ts";
import type { Provider } from "../providers/provider-table.ts";
import { ask } from "../upstream/ask.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Budgets, Spender } from "../usage/budgets.ts";
import type { UsageLog } from "../usage/usage-log.ts";
import type { ChatRequest } from "./chat-request.ts";
import type { ChatRun } from "./chat-run.ts";
import { asServerTools, type HubTool, hubToolLimits } from "./hub-tools.ts";
import { ollamaUnreachable, type RunError, runErrorOf } from "./run-errors.ts";

export interface ChatDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly upstream: Upstream;
	readonly origins: ProviderOrigins;
	readonly usage: UsageLog;
	readonly budgets: Budgets;
}

const preflight = { timeoutMs: 2_000, maxBytes: 64 * 1024 } as const;
const charactersPerToken = 4;

/**
 * Lets TanStack AI run one chat, and writes its events into the run: errors in our own words, tokens counted whatever
 * becomes of the client. Never rejects.
 */
export async function runChat(
	deps: ChatDeps,
	run: ChatRun,
	asked: ChatRequest,
	who: {
		readonly spender: Spender;
		readonly key: string | null;
		readonly abort: AbortController;
		readonly tools: readonly HubTool[];
	},
): Promise<void> {
	const { provider, model, params } = asked;
	const meter = new ChatMeter(asked);
	let origin = "";
	let asking = false;
	let error: RunError | null = null;
	try {
		origin = deps.origins.of(provider);
		error = provider.id === "ollama" ? await askOllama(deps, origin) : null;
		if (error === null) {
			// A hub where nobody chats does without: the vendors' clients are large.
			const { chat, maxIterations, mergeAgentTools } = await import("@tanstack/ai");
			const { adapterFor } = await import("./chat-adapters.ts");
			const stream = chat({
				adapter: adapterFor(provider, model, origin, who.key),
				messages: params.messages as never,
				systemPrompts: [...asked.systemPrompts] as never,
				tools: mergeAgentTools(asServerTools(who.tools), params.tools) as never,
				agentLoopStrategy: maxIterations(hubToolLimits.maxSteps),
				threadId: params.threadId,
				runId: params.runId,
				abortController: who.abort,
				debug: false,
			} as never) as unknown as AsyncIterable<StreamChunk>;
			asking = true;
			error = await pump(stream, run, provider, origin, meter, who.abort);
		}
	} catch (fault) {
		error =
			fault instanceof WarrenError
				? { code: fault.code as RunError["code"], message: fault.message, retryable: fault.retryable }
				: runErrorOf(provider, messageOf(fault), origin);
	}
	if (who.abort.signal.aborted && error?.code !== "answer_too_long")
		error = { code: "cancelled", message: "The answer was stopped.", retryable: true };
	if (error !== null) deps.logger.debug("a chat ended early", { provider: provider.id, code: error.code });
	run.end(error === null ? null : errorEvent(error, params, deps.clock.now()));
	// Whoever stops an answer before its first word has had it begun all the same.
	const { input, output, cached, estimated } = meter.counts(asking && who.abort.signal.aborted);
	deps.usage.add({
		...who.spender,
		provider: provider.id,
		model,
		failed: error !== null && error.code !== "cancelled",
		...{ input, output, cached, estimated },
	});
	deps.budgets.spend(who.spender, input + output);
}

/** @returns why it ended early, or null. */
async function pump(
	stream: AsyncIterable<StreamChunk>,
	run: ChatRun,
	provider: Provider,
	origin: string,
	meter: ChatMeter,
	abort: AbortController,
): Promise<RunError | null> {
	// Each turn of the model ends with one; a turn that called a tool of ours is followed by the next.
	let finished: unknown = null;
	for await (const event of stream) {
		if (finished !== null && event.type === "RUN_STARTED") continue;
		if (event.type === "RUN_ERROR") {
			const { message, error } = event as { message?: string; error?: { message?: string } };
			return runErrorOf(provider, message ?? error?.message ?? "", origin);
		}
		meter.see(event);
		const shown = withoutRaw(event);
		if (event.type === "RUN_FINISHED") {
			finished = shown;
			continue;
		}
		if (!run.append(shown)) {
			abort.abort(new Error("too long"));
			return { code: "answer_too_long", message: "The answer grew too long to keep, and was ended.", retryable: false };
		}
	}
	if (finished === null)
		return { code: "provider_failed", message: `${provider.name} ended without an answer.`, retryable: true };
	run.end(finished);
	return null;
}

/** A dead Ollama would only say "fetch failed". */
async function askOllama({ upstream, clock }: ChatDeps, origin: string): Promise<RunError | null> {
	try {
		await ask(upstream, clock, { origin, path: "/api/version", ...preflight });
		return null;
	} catch {
		// Whatever the reason: there is nobody to ask.
		return ollamaUnreachable(origin);
	}
}

/** AG-UI allows the provider's own event beside ours: it stays here. */
function withoutRaw(event: StreamChunk): unknown {
	const { rawEvent: _raw, ...rest } = event as StreamChunk & { rawEvent?: unknown };
	return rest;
}

function errorEvent({ code, message, retryable }: RunError, { threadId, runId }: ChatRequest["params"], now: number) {
	return { type: "RUN_ERROR", timestamp: now, threadId, runId, message, code, error: { message, code }, retryable };
}

/** Tokens of a run as its events tell; estimated from its text where they do not, or say nothing came of something. */
class ChatMeter {
	readonly #promptCharacters: number;
	#input: number | null = null;
	#output: number | null = null;
	#cached = 0;
	#characters = 0;

	constructor({ params, systemPrompts }: ChatRequest) {
		this.#promptCharacters = JSON.stringify(params.messages).length + systemPrompts.join("").length;
	}

	see(event: StreamChunk): void {
		const { delta, usage } = event as { delta?: unknown; usage?: unknown };
		if (typeof delta === "string") this.#characters += delta.length;
		// A run with tools has several steps, each with its own usage.
		for (const each of Array.isArray(usage) ? usage : [usage]) this.#take(each as Record<string, unknown> | undefined);
	}

	/** @param begun the provider works on it, whatever it has said: what failed at once costs nothing. */
	counts(begun: boolean): { input: number; output: number; cached: number; estimated: boolean } {
		const nothingHappened = !begun && this.#characters === 0 && this.#input === null;
		const output = this.#output !== null && (this.#output > 0 || this.#characters === 0) ? this.#output : null;
		return {
			input: this.#input ?? (nothingHappened ? 0 : Math.ceil(this.#promptCharacters / charactersPerToken)),
			output: output ?? Math.ceil(this.#characters / charactersPerToken),
			cached: this.#cached,
			estimated: !nothingHappened && (this.#input === null || output === null),
		};
	}

	#take(usage: Record<string, unknown> | undefined): void {
		if (typeof usage !== "object" || usage === null) return;
		const input = numberIn(usage, "promptTokens", "inputTokens", "input_tokens");
		const output = numberIn(usage, "completionTokens", "outputTokens", "output_tokens");
		if (input !== null) this.#input = (this.#input ?? 0) + input;
		if (output !== null) this.#output = (this.#output ?? 0) + output;
		this.#cached += numberIn(usage, "cachedTokens", "cachedInputTokens") ?? 0;
	}
}

function numberIn(from: Record<string, unknown>, ...names: string[]): number | null {
	for (const name of names) {
		const value = from[name];
		if (typeof value === "number" && Number.isFinite(value) && value > 0) return Math.floor(value);
	}
	return null;
}
