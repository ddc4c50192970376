import type { Identity } from "@warren/kernel";
import { dataHeaders, type RequestContext } from "@warren/net";
import { aiError } from "./errors.ts";
import type { Spender } from "./usage/budgets.ts";

type User = Extract<Identity, { kind: "user" }>;

/** The person who asks. @throws WarrenError `people_only`, `bad_origin`. */
export function personOf({ identity, method, headers }: RequestContext): User {
	if (identity?.kind !== "user") throw aiError("people_only", "This is only for people with an account here.");
	// The listener refuses foreign origins; a cookie needs more: a page that says where it is from.
	if (headers.authorization === undefined && headers.origin === undefined && method !== "GET" && method !== "HEAD")
		throw aiError("bad_origin", "A change that is asked for with a cookie needs an Origin, and this has none.");
	return identity;
}

/** @throws WarrenError `admin_only`. */
export function adminOf(context: RequestContext): User {
	const user = personOf(context);
	if (!user.admin) throw aiError("admin_only", "This is only for the owner and the administrators of this hub.");
	return user;
}

export function spenderOf(user: User): Spender {
	return { user: user.userId, device: user.deviceId ?? "unknown" };
}

export function answer(body: unknown, status = 200): Response {
	return Response.json(body, { status, headers: dataHeaders });
}
