import { type Audit, type AuditEvent, describeIdentity, type Identity } from "@warren/kernel";
import { dataHeaders, httpError, type RequestContext } from "@warren/net";
import { accountsError } from "./errors.ts";
import { isKeyDevice } from "./people.ts";

export type User = Extract<Identity, { kind: "user" }>;

/** The person who asks. @throws WarrenError `no_account`, `bad_origin`. */
export function userOf(context: RequestContext): User {
	const { method, headers } = context;
	// The listener refuses foreign origins; a cookie needs more: a page that says where it is from.
	const byCookie = headers.authorization === undefined && headers["sec-websocket-protocol"] === undefined;
	if (byCookie && headers.origin === undefined && method !== "GET" && method !== "HEAD")
		throw httpError("bad_origin", "A change that is asked for with a cookie needs an Origin, and this has none.", {
			fix: "Programs send Authorization: Bearer instead of the cookie.",
		});
	const { identity } = context;
	if (identity?.kind !== "user") throw accountsError("no_account", "This is only for people with an account here.");
	return identity;
}

/**
 * The person who asks, on a device that is signed in: what lets another device in would outlive an API key.
 * @param lacks what an API key does not get. @throws WarrenError `no_account`, `bad_origin`.
 */
export function signedInOf(context: RequestContext, lacks: string): User & { readonly deviceId: string } {
	const user = userOf(context);
	const { deviceId } = user;
	if (deviceId === undefined || isKeyDevice(deviceId))
		throw accountsError("no_account", `An API key is no device, and ${lacks}.`, { fix: "Sign in first." });
	return { ...user, deviceId };
}

/** @throws WarrenError `admin_only`. */
export function adminOf(context: RequestContext): User {
	const user = userOf(context);
	if (!user.admin) throw accountsError("admin_only", "This is only for the owner and the administrators of this hub.");
	return user;
}

export function answer(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
	return Response.json(body, { status, headers: { ...dataHeaders, ...headers } });
}

export function nothing(): Response {
	return new Response(null, { status: 204, headers: dataHeaders });
}

export function recordTo(audit: Audit) {
	return (
		context: RequestContext,
		action: string,
		target: string,
		more: Partial<Pick<AuditEvent, "outcome" | "details">> = {},
	): void =>
		audit.record({
			actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
			action,
			target,
			outcome: "ok",
			address: context.remoteAddress,
			...more,
		});
}
