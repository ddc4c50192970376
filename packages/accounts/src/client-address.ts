import { isIP } from "node:net";
import { canonicalHost, type RequestContext } from "@warren/net";
import type { Machines } from "./machines/machines.ts";

/** On whose page a request that a machine passes on was made; counts only with the machine's own token beside it. */
export const pageOriginHeader = "x-warren-origin";
/** The token of a machine of this warren that passes its own clients' requests on, and says where they come from. */
export const vouchHeader = "x-warren-node";

/**
 * The client's address: of the socket, or what a machine of this warren says in `X-Forwarded-For` with its own token
 * beside it. So that the clients behind one machine share no rate limit, and a person sees where a device really is.
 */
export type ClientAddressOf = (context: RequestContext) => Promise<string>;

export function vouchedAddress(machines: Machines): ClientAddressOf {
	return async (context) => {
		const forwarded = context.headers["x-forwarded-for"];
		if (typeof forwarded !== "string") return context.remoteAddress;
		const address = (forwarded.split(",").at(-1) as string).trim();
		if (isIP(address) === 0) return context.remoteAddress;
		return (await voucherOf(context, machines)) === null ? context.remoteAddress : address;
	};
}

/**
 * The origin of the page that asks: this hub's own, or that of a machine of this warren which passes the request on. A
 * machine speaks for the names that it is certified for, and for no other's: passkeys are bound to them.
 */
export type PageOriginOf = (context: RequestContext) => Promise<string>;

export function vouchedOrigin(machines: Machines): PageOriginOf {
	return async (context) => {
		const said = context.headers[pageOriginHeader];
		if (typeof said !== "string" || !URL.canParse(said)) return context.origin;
		const { protocol, hostname, port, origin } = new URL(said);
		if (protocol !== "https:" || origin !== said) return context.origin;
		const nodeId = await voucherOf(context, machines);
		if (nodeId === null) return context.origin;
		const machine = await machines.get(nodeId);
		const hosts = await machines.certifiedHosts(nodeId);
		const isIts = hosts.includes(canonicalHost(hostname)) && Number(port || "443") === machine.port;
		return isIts ? origin : context.origin;
	};
}

/** The machine whose token stands beside what it says; null = nobody vouches. */
async function voucherOf(context: RequestContext, machines: Machines): Promise<string | null> {
	const token = context.headers[vouchHeader];
	if (typeof token !== "string") return null;
	const verdict = await machines.authenticate(
		{ scheme: "bearer", token, from: "header" },
		{ accepts: ["node"], remoteAddress: context.remoteAddress, path: context.path },
	);
	return verdict?.ok === true && verdict.identity.kind === "node" ? verdict.identity.nodeId : null;
}
