import type { WarrenError } from "@warren/kernel";
import { aiError } from "../errors.ts";
import { isProviderId, type Provider, providerIds, providers } from "./provider-table.ts";

/** @throws WarrenError `unknown_provider`, 404. */
export function providerOf(id: string): Provider {
	if (isProviderId(id)) return providers[id];
	throw aiError("unknown_provider", `There is no provider "${id.slice(0, 60)}".`, {
		fix: `One of: ${providerIds.join(", ")}.`,
	});
}

export type PathVerdict =
	| { readonly ok: true; readonly path: string }
	| { readonly ok: false; readonly error: WarrenError };

/**
 * The vendor's own path for what a client asked for, or a refusal. Judged as sent: nothing is decoded or normalised, so
 * whatever the vendor would read differently (dot segments, doubled or encoded slashes, another host) is in no pattern.
 * @param rest what came after `/proxy/{provider}/`, undecoded.
 */
export function vendorPath(provider: Provider, method: string, rest: string): PathVerdict {
	const candidates = provider.base === "" ? [rest] : [rest, provider.base + rest];
	for (const candidate of candidates)
		if (provider.allows.some((allowed) => allowed.method === method && allowed.path.test(candidate)))
			return { ok: true, path: `/${candidate}` };
	return {
		ok: false,
		error: aiError("path_not_allowed", `${method} ${rest.slice(0, 120)} of ${provider.name} does not pass here.`),
	};
}

/** The query as it was sent, without `key`: that carries a credential. Order and encoding of the others stay. */
export function queryWithoutKey(target: string): string {
	const question = target.indexOf("?");
	if (question === -1) return "";
	const query = target.slice(question + 1);
	if (!/key|%/i.test(query)) return query === "" ? "" : `?${query}`;
	const kept = query.split("&").filter((pair) => {
		const name = pair.split("=", 1)[0] as string;
		return new URLSearchParams(`${name}=`).keys().next().value !== "key";
	});
	return kept.length === 0 ? "" : `?${kept.join("&")}`;
}
