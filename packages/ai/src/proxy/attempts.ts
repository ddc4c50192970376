import type { IncomingHttpHeaders } from "node:http";
import { aiError } from "../errors.ts";
import { aiLimits } from "../limits.ts";
import { isProviderId, type Provider, providers, type WireFormat } from "../providers/provider-table.ts";

/** What a caller may ask for beyond one try; nothing of it happens unasked, or after the first byte of an answer. */
export const retryHeader = "x-warren-retry";
/** `provider/model, provider/model`: the same wire format, in this order. */
export const fallbackHeader = "x-warren-fallback";

export interface Attempt {
	readonly provider: Provider;
	/** The vendor's path, with a leading slash. */
	readonly path: string;
	/** Null = the body as it was sent. */
	readonly model: string | null;
}

/**
 * The tries that a request has, in order; the first one is the request itself.
 * @param path the vendor's own. @throws WarrenError `bad_policy`.
 */
export function planAttempts(provider: Provider, path: string, headers: IncomingHttpHeaders): Attempt[] {
	const first: Attempt = { provider, path, model: null };
	const retries = parseRetries(headers[retryHeader]);
	const fallbacks = parseFallbacks(headers[fallbackHeader], provider, path);
	const plan = [...Array.from({ length: retries + 1 }, () => first), ...fallbacks];
	if (plan.length > aiLimits.maxAttempts)
		throw aiError("bad_policy", `This asks for ${plan.length} tries; ${aiLimits.maxAttempts} are the most.`);
	return plan;
}

/** Worth another try: nobody worked on it, or it failed on their side. */
export function mayRetry(status: number): boolean {
	return status === 408 || status === 429 || status === 500 || (status >= 502 && status <= 504) || status === 529;
}

/** How long the provider asks to wait, ms; null = it does not say, or longer than is worth waiting here. */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number): number | null {
	const text = headers["retry-after"];
	if (text === undefined) return 0;
	const seconds = Number(text);
	const waitMs = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - now;
	return Number.isFinite(waitMs) && waitMs <= aiLimits.maxRetryWaitMs ? Math.max(0, waitMs) : null;
}

/** The same request for another model. @throws WarrenError `bad_policy` when the body has none. */
export function withModel(body: Buffer, model: string): Buffer {
	let parsed: unknown;
	try {
		parsed = JSON.parse(body.toString("utf8"));
	} catch {
		// Told below, as any other body without a model.
	}
	if (typeof parsed !== "object" || parsed === null || !("model" in parsed))
		throw aiError("bad_policy", "A fallback needs a JSON body with a model, and this request has none.");
	return Buffer.from(JSON.stringify({ ...parsed, model }));
}

function parseRetries(header: string | string[] | undefined): number {
	if (header === undefined) return 0;
	const count = Number(header);
	if (!Number.isInteger(count) || count < 0 || count >= aiLimits.maxAttempts)
		throw aiError(
			"bad_policy",
			`${retryHeader} is "${String(header).slice(0, 20)}"; it takes 0 to ${aiLimits.maxAttempts - 1}.`,
		);
	return count;
}

function parseFallbacks(header: string | string[] | undefined, from: Provider, path: string): Attempt[] {
	if (header === undefined) return [];
	const format = (Object.entries(from.formats) as [WireFormat, string][]).find(([, each]) => `/${each}` === path)?.[0];
	if (format === undefined)
		throw aiError("bad_policy", `${from.name}'s ${path.slice(0, 80)} has no counterpart to fall back to.`);
	return String(header)
		.split(",")
		.map((each) => each.trim())
		.filter((each) => each !== "")
		.map((each) => {
			const slash = each.indexOf("/");
			const id = slash === -1 ? each : each.slice(0, slash);
			const model = slash === -1 ? "" : each.slice(slash + 1);
			const target = isProviderId(id) ? providers[id] : null;
			const counterpart = target?.formats[format];
			if (target === null || counterpart === undefined || !/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,119}$/.test(model))
				throw aiError("bad_policy", `${fallbackHeader} names "${each.slice(0, 80)}", which cannot stand in here.`, {
					fix: "Give provider/model of a provider with the same format.",
				});
			return { provider: target, path: `/${counterpart}`, model };
		});
}
