import type { RequestContext } from "@warren/net";
import type { z } from "zod";
import { parseKey } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import type { registerBody } from "./bodies.ts";
import type { Caller } from "./live-peer.ts";
import type { CoordinatorRouteDeps } from "./route-deps.ts";

/** A token counts before all else; a key that was admitted with this certificate needs none again. */
export async function claimsOf(
	deps: CoordinatorRouteDeps,
	body: z.infer<typeof registerBody>,
	context: RequestContext,
	caller: Caller,
) {
	if (deps.joinTokens === null || body.parent != null) return null;
	const key = parseKey(body.wg_public_key);
	if (key === null)
		throw overlayError("bad_key", `wg_public_key is not a WireGuard key: "${body.wg_public_key.slice(0, 64)}".`);
	const bearer = deps.insecure ? /^Bearer\s+(\S+)\s*$/i.exec(context.headers.authorization ?? "")?.[1] : undefined;
	const token = (body.join_token ?? bearer ?? "").trim();
	if (token === "") {
		if (deps.registry.known(body.wg_public_key, caller) !== null) return null;
		throw overlayError("bad_token", "This overlay needs a join token, and the request has none.");
	}
	const claims = await deps.joinTokens.validate(token, key);
	if (claims !== null) return claims;
	// A machine that was admitted goes on after its token has ended.
	if (deps.registry.known(body.wg_public_key, caller) !== null) return null;
	throw overlayError("bad_token", "The join token is not valid, or no longer.");
}
