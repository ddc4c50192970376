import { type Audit, type AuditEvent, describeIdentity, type Identity } from "@warren/kernel";
import { dataHeaders, type RequestContext } from "@warren/net";
import { accountsError } from "./errors.ts";

export type User = Extract<Identity, { kind: "user" }>;

/** The person who asks. @throws WarrenError `no_account`. */
export function userOf(context: RequestContext): User {
	const { identity } = context;
	if (identity?.kind !== "user") throw accountsError("no_account", "This is only for people with an account here.");
	return identity;
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
