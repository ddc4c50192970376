import { isIP } from "node:net";
import type { RequestContext } from "@warren/net";
import type { Machines } from "./machines/machines.ts";

/** The token of a machine of this warren that passes its own clients' requests on, and says where they come from. */
export const vouchHeader = "x-warren-node";

/**
 * The client's address: of the socket, or what a machine of this warren says in `X-Forwarded-For` with its own token
 * beside it. So that the clients behind one machine share no rate limit, and a person sees where a device really is.
 */
export type ClientAddressOf = (context: RequestContext) => Promise<string>;

export function vouchedAddress(machines: Machines): ClientAddressOf {
	return async (context) => {
		const token = context.headers[vouchHeader];
		const forwarded = context.headers["x-forwarded-for"];
		if (typeof token !== "string" || typeof forwarded !== "string") return context.remoteAddress;
		const address = (forwarded.split(",").at(-1) as string).trim();
		if (isIP(address) === 0) return context.remoteAddress;
		const verdict = await machines.authenticate(
			{ scheme: "bearer", token, from: "header" },
			{ accepts: ["node"], remoteAddress: context.remoteAddress, path: context.path },
		);
		return verdict?.ok === true ? address : context.remoteAddress;
	};
}
