import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type Clock, delay, type WarrenError } from "@warren/kernel";
import { type RequestContext, type Route, type TokenPlaces, writeError } from "@warren/net";
import type { Dispatcher } from "undici";
import { spenderOf } from "../ai-route.ts";
import { aiError } from "../errors.ts";
import type { ProviderKeys } from "../keys/provider-keys.ts";
import { aiLimits } from "../limits.ts";
import type { ProviderOrigins } from "../providers/origins.ts";
import { providerOf, queryWithoutKey, vendorPath } from "../providers/provider-path.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Budgets, Spender } from "../usage/budgets.ts";
import type { OpenStreams } from "../usage/open-streams.ts";
import type { UsageLog } from "../usage/usage-log.ts";
import { type Attempt, mayRetry, planAttempts, retryAfterMs, withModel } from "./attempts.ts";
import { Exchange, type ExchangeEnd } from "./exchange.ts";
import { upstreamHeaders } from "./headers.ts";
import { type RequestBody, readBody } from "./request-body.ts";

export interface ProxyDeps {
	readonly clock: Clock;
	readonly upstream: Upstream;
	readonly keys: ProviderKeys;
	readonly origins: ProviderOrigins;
	readonly usage: UsageLog;
	readonly budgets: Budgets;
	readonly streams: OpenStreams;
}

/** Vendors' SDKs put their key, here a session's token, where their vendor wants it. */
export const tokenPlaces: TokenPlaces = { headers: ["x-api-key", "x-goog-api-key"], query: "key" };

/** One request on its way: what every try of it shares. */
interface Flight {
	readonly context: RequestContext;
	readonly spender: Spender;
	readonly body: RequestBody;
	readonly query: string;
	readonly incoming: IncomingMessage;
	readonly outgoing: ServerResponse;
}

/** `ALL /proxy/:provider/*`: a provider's own API with this hub's key behind a session of this hub. */
export class ProviderProxy {
	readonly #deps: ProxyDeps;

	constructor(deps: ProxyDeps) {
		this.#deps = deps;
	}

	routes(owner: string): Route[] {
		return [
			{
				owner,
				method: "ALL",
				path: "/proxy/:provider/*",
				about: { summary: "A provider's own API, with the hub's key" },
				credentials: ["session"],
				tokenPlaces,
				stream: (context, incoming, outgoing) => this.#handle(context, incoming, outgoing),
			},
		];
	}

	/** Session, provider, path, rate, budget, key, body; only then anything leaves. */
	async #handle(context: RequestContext, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
		const spender = payerOf(context);
		const provider = providerOf(context.params["provider"] ?? "");
		const verdict = vendorPath(provider, context.method, context.params["rest"] ?? "");
		if (!verdict.ok) throw verdict.error;
		const plan = planAttempts(provider, verdict.path, context.headers);
		const refused = this.#deps.budgets.refuse(spender);
		const refusal = refused instanceof Promise ? await refused : refused;
		if (refusal !== null) throw refusal;
		// Before the body: whoever has no key need not send one.
		this.#deps.keys.get(provider);
		this.#deps.origins.of(provider);
		const release = this.#deps.streams.take(spender.user);
		try {
			const read = readBody(incoming, this.#deps.clock);
			const body = read instanceof Promise ? await read : read;
			const query = queryWithoutKey(incoming.url ?? "");
			await this.#fly(plan, { context, spender, body, query, incoming, outgoing });
		} finally {
			release();
		}
	}

	async #fly(plan: readonly Attempt[], flight: Flight): Promise<void> {
		const { clock, usage, budgets } = this.#deps;
		// A body that passes through is gone after the first try.
		const tries = flight.body.kind === "passing" ? plan.slice(0, 1) : plan;
		let failure: WarrenError | null = null;
		for (const [index, attempt] of tries.entries()) {
			const end = await this.#try(attempt, flight, tries[index + 1]);
			if (end.kind === "retry") {
				const waitMs = tries[index + 1]?.model === null ? (retryAfterMs(end.headers, clock.now()) ?? 0) : 0;
				if (waitMs > 0) await delay(clock, waitMs, flight.context.signal).catch(() => undefined);
				continue;
			}
			if (end.kind === "unasked") return;
			const { user, device } = flight.spender;
			if (end.kind === "failed") {
				usage.add({
					user,
					device,
					provider: attempt.provider.id,
					model: modelOf(attempt, flight),
					failed: true,
					...nothing,
				});
				failure = end.error;
				if (index + 1 < tries.length && failure.retryable && !flight.outgoing.destroyed) continue;
				break;
			}
			const read = end.usage.end();
			const failed = end.kind === "answered" && end.status >= 400;
			usage.add({
				...{ user, device, provider: attempt.provider.id, failed },
				model: read.model ?? modelOf(attempt, flight),
				...(failed ? nothing : { ...read.counts, estimated: read.estimated }),
			});
			if (!failed) budgets.spend(flight.spender, read.counts.input + read.counts.output);
			return;
		}
		if (failure !== null) refuse(flight, failure);
	}

	#try(attempt: Attempt, flight: Flight, next: Attempt | undefined): Promise<ExchangeEnd> {
		const { clock, upstream, keys, origins } = this.#deps;
		const { provider, path } = attempt;
		const { body, context } = flight;
		return new Promise((resolve) => {
			let key: string | null;
			let origin: string;
			let bytes: Buffer | null = null;
			try {
				key = keys.get(provider);
				origin = origins.of(provider);
				if (body.kind === "held") bytes = attempt.model === null ? body.bytes : withModel(body.bytes, attempt.model);
			} catch (refusal) {
				resolve({ kind: "failed", error: refusal as WarrenError });
				return;
			}
			const headers = upstreamHeaders(context.headers, provider, key);
			if (body.kind === "passing" && body.length !== null) headers["content-length"] = String(body.length);
			const exchange = new Exchange(
				flight.outgoing,
				clock,
				{
					...{ provider, origin },
					requestBytes: bytes?.length ?? (body.kind === "passing" ? (body.length ?? 0) : 0),
					retryable: (status: number, answered: IncomingHttpHeaders) =>
						next !== undefined &&
						mayRetry(status) &&
						(next.model !== null || retryAfterMs(answered, clock.now()) !== null),
				},
				resolve,
			);
			upstream.dispatch(
				{
					origin,
					path: path + flight.query,
					method: context.method as Dispatcher.HttpMethod,
					headers,
					body: body.kind === "passing" ? body.stream : bytes,
				},
				exchange,
			);
		});
	}
}

const nothing = { input: 0, output: 0, cached: 0, estimated: false } as const;

function refuse({ outgoing, incoming }: Flight, error: WarrenError): void {
	if (!incoming.complete) outgoing.shouldKeepAlive = false;
	writeError(outgoing, error);
}

/** The model that was asked for, where the answer did not name its own: of the path (Google), else of the body. */
function modelOf(attempt: Attempt, { body }: Flight): string {
	if (attempt.model !== null) return attempt.model.slice(0, aiLimits.maxModelNameLength);
	const inPath = /\/models\/([^/:]+)/.exec(attempt.path)?.[1];
	if (inPath !== undefined) return inPath;
	if (body.kind !== "held") return "unknown";
	const head = body.bytes.toString("latin1", 0, Math.min(body.bytes.length, 4096));
	return /"model"\s*:\s*"([A-Za-z0-9._:@/-]{1,120})"/.exec(head)?.[1] ?? "unknown";
}

/**
 * Who pays. A cookie is no proof here: no page calls this, and a page of another origin must not.
 * @throws WarrenError `people_only`, `cookie_not_taken`.
 */
function payerOf({ identity, headers, query }: RequestContext): Spender {
	if (identity?.kind !== "user") throw aiError("people_only", "The proxy is for people with an account here.");
	const shown =
		headers.authorization !== undefined ||
		tokenPlaces.headers.some((name) => headers[name] !== undefined) ||
		query.has(tokenPlaces.query as string);
	if (!shown) throw aiError("cookie_not_taken", "The session's cookie is not taken by the proxy.");
	return spenderOf(identity);
}
