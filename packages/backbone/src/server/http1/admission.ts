import type { Caller, CallerRefusal } from "../../identity/callers.ts";
import type { RequestHead } from "../../protocol/request-head.ts";
import { type CookieSwap, cookieToken, isSameOrigin, swapFields, takeUrlToken } from "../credentials.ts";
import type { Front } from "../front.ts";
import type { ActiveService } from "../services.ts";
import type { Arrival } from "./arrival.ts";

/** A request that may go to its service. */
export interface AdmittedRequest {
	readonly kind: "admitted";
	readonly head: RequestHead;
	readonly service: ActiveService;
	readonly caller: Caller;
	/** The client's, as rules of addresses see it. */
	readonly address: string;
	/** Without a URL token. */
	readonly target: string;
	/** Null = it came without a URL token. */
	readonly swap: CookieSwap | null;
}

export interface RefusedRequest {
	readonly kind: "refused";
	/** Null = it named none. */
	readonly service: ActiveService | null;
	readonly status: number;
	readonly code: string;
	readonly message: string;
	/** The connection must end with it. */
	readonly close: boolean;
	readonly retryAfterMs: number;
}

export type Admission =
	| AdmittedRequest
	| RefusedRequest
	/** For a name of the backbone itself. */
	| { readonly kind: "own" }
	/** Answered here, by 303 with these fields: a link's token becomes a cookie. */
	| {
			readonly kind: "swapped";
			readonly service: ActiveService;
			readonly fields: Readonly<Record<string, string>>;
	  };

/** Whether a request may go to a service, and as whom. A promise only for whoever is not remembered. */
export function admit(front: Front, arrival: Arrival, head: RequestHead): Admission | Promise<Admission> {
	const route = front.route(head.host, arrival.socket, arrival.pinned);
	if (route === null)
		return refused(null, 421, "wrong_host", `"${head.host.slice(0, 200)}" is not a name of this server.`);
	if (route.kind === "own") return { kind: "own" };
	if (route.kind === "unknown")
		return refused(null, 404, "unknown_service", `There is no service "${route.name.slice(0, 63)}" here.`);
	const { service } = route;
	const { name } = service;
	if (service.kind !== "http" && service.kind !== "h2") {
		const message = `"${name}" is a service of kind ${service.kind}, which HTTP does not reach.`;
		return refused(service, 505, "wrong_protocol", message);
	}
	const address = head.forwardedFor === null ? arrival.peer : front.clientAddress(arrival.socket, head.forwardedFor);
	if (!service.admits(address)) return refused(service, 403, "address_refused", `${address} may not reach "${name}".`);
	const token = takeUrlToken(head.target);
	if (token.fault !== null) return refused(service, 401, "unauthorized", token.fault);
	const { target } = token;
	const swap = token.token === null ? null : { token: token.token, target };
	const question = target.indexOf("?");
	const verdict = front.callers.judge(
		{
			credential: head.credential,
			assertion: head.assertion,
			urlToken: token.token,
			cookieToken: head.cookie === null ? null : cookieToken(head.cookie),
		},
		{
			service: name,
			method: head.method,
			path: question === -1 ? target : target.slice(0, question),
			now: front.wallNow,
		},
		address,
	);
	const facts = { head, service, address, target, swap };
	if (!(verdict instanceof Promise)) return judged(front, arrival, facts, verdict);
	return verdict.then((settled) => {
		// As it is now: it may have changed, or gone, while its client was looked up.
		const current = front.services.get(name);
		if (current === null || current.kind !== service.kind)
			return refused(null, 404, "unknown_service", `There is no service "${name}" here.`);
		if (!current.admits(address))
			return refused(current, 403, "address_refused", `${address} may not reach "${name}".`);
		return judged(front, arrival, { ...facts, service: current }, settled);
	});
}

function judged(
	front: Front,
	arrival: Arrival,
	facts: Omit<AdmittedRequest, "kind" | "caller">,
	caller: Caller | CallerRefusal,
): Admission {
	const { head, service, swap } = facts;
	const { name, settings } = service;
	if (!caller.ok) return refused(service, caller.status, caller.code, caller.message, false, caller.retryAfterMs);
	if (settings.requireIdentity === true && caller.principal === null)
		return refused(service, 401, "identity_required", `"${name}" takes nobody without a credential.`);
	// Another site's page makes a browser send its cookie along: then only what changes nothing, and no WebSocket.
	if (
		caller.ambient &&
		(head.webSocketKey !== null || (head.method !== "GET" && head.method !== "HEAD")) &&
		!isSameOrigin(head.origin, arrival.secure, head.host)
	)
		return refused(service, 403, "bad_origin", "A page of another origin may not do this with your link's cookie.");
	const waitMs = Math.max(caller.requests?.take("") ?? 0, service.requests?.take("") ?? 0);
	if (waitMs > 0) return refused(service, 429, "too_many", "Too many requests.", false, waitMs);
	const { maxBodyBytes } = settings;
	if (maxBodyBytes !== undefined && head.body.kind === "length" && head.body.bytes > maxBodyBytes)
		return refused(service, 413, "body_too_large", `The body is larger than ${maxBodyBytes} bytes.`, true);
	const fields = swap === null ? null : swapFields(head, swap, caller, arrival.secure, front.wallNow);
	if (fields !== null) return { kind: "swapped", service, fields };
	const { address, target } = facts;
	return { kind: "admitted", head, service, caller, address, target, swap };
}

function refused(
	service: ActiveService | null,
	status: number,
	code: string,
	message: string,
	close = false,
	retryAfterMs = 0,
): RefusedRequest {
	return { kind: "refused", service, status, code, message, close, retryAfterMs };
}
