import { connect, type DetailedPeerCertificate } from "node:tls";
import { WarrenError } from "@warren/kernel";
import { z } from "zod";
import { accountsError } from "../errors.ts";
import { joinCodeFault, joinFingerprint, parseJoinCode } from "../machines/join-code.ts";
import type { MachineFacts } from "../machines/machines.ts";
import { ticketKeySchema } from "../tickets/ticket.ts";
import { HubRequests, hubRequestLimits } from "./hub-requests.ts";
import { hubUnreachable } from "./hub-unreachable.ts";

const joinedSchema = z.object({
	nodeId: z.string(),
	/** PEM: this machine's leaf. */
	cert: z.string(),
	/** PEM: the warren's CA. */
	ca: z.string(),
	/** Lets this machine speak to the hub. A secret. */
	nodeToken: z.string(),
	hubUrl: z.string(),
	owner: z.object({ userId: z.string() }),
	ticketKey: ticketKeySchema,
});
export type Joined = z.infer<typeof joinedSchema>;

/** No chain is longer: leaf, CA, and what a proxy may add. */
const maxChain = 8;

/**
 * Takes this machine into a warren. The code's fingerprint is checked against the certificates that the hub shows,
 * before the code's secret is sent; the request for a certificate goes out over that very CA.
 * @throws WarrenError `bad_code`, `wrong_authority`, `hub_unreachable`, `hub_refused`.
 */
export async function joinWarren(
	hubUrl: string,
	code: string,
	machine: MachineFacts & { readonly csr: string; readonly nodeId?: string },
): Promise<Joined> {
	const parsed = parseJoinCode(code);
	if (parsed === null)
		throw accountsError("bad_code", joinCodeFault(code), {
			fix: "Paste the whole line that `warren invite` printed on the first machine.",
		});
	const url = new URL(hubUrl);
	if (url.protocol !== "https:")
		throw accountsError("wrong_authority", `${url.origin} is not HTTPS, so nobody could tell whose hub it is.`, {
			fix: "Use the https:// address that the first machine printed.",
		});
	const ca = await shownAuthority(url, parsed.fingerprint);
	const requests = new HubRequests(hubUrl, ca);
	try {
		const asked = requests.ask(joinedSchema, "POST", "/v1/join", { body: { secret: parsed.secret, ...machine } });
		const joined = await asked.catch((fault: unknown) => {
			if (!(fault instanceof WarrenError) || ![404, 405].includes(hubStatusOf(fault))) throw fault;
			throw accountsError(
				"hub_refused",
				`The machine at ${url.origin} takes no machines in: it runs no hub, or an older Warren.`,
				{
					fix: "Give the address of the first machine, the one that runs: warren up. Bring both to one version with: warren update",
					cause: fault,
				},
			);
		});
		if (joinFingerprint(joined.ca) !== parsed.fingerprint)
			throw accountsError("wrong_authority", "The hub answered with another CA than the join code names.");
		return joined;
	} finally {
		await requests.close();
	}
}

const hubStatusOf = ({ details }: WarrenError) => (details as { hubStatus?: number }).hubStatus ?? 0;

/** The CA among the certificates of a hub, by the fingerprint that came by another way. @returns PEM. */
function shownAuthority(url: URL, fingerprint: string): Promise<string> {
	const host = url.hostname.replace(/^\[|\]$/g, "");
	return new Promise((resolve, reject) => {
		const socket = connect({
			host,
			port: Number(url.port || 443),
			// Nothing is sent on this connection: it only shows the chain, which the fingerprint then judges.
			rejectUnauthorized: false,
			timeout: hubRequestLimits.connectTimeoutMs,
			...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
		});
		const fail = (cause: Error) => {
			socket.destroy();
			reject(hubUnreachable(url.origin, cause));
		};
		socket.once("error", fail);
		socket.once("timeout", () => fail(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" })));
		socket.once("secureConnect", () => {
			const found = chainOf(socket.getPeerCertificate(true)).find((der) => joinFingerprint(der) === fingerprint);
			socket.destroy();
			if (found !== undefined) return resolve(pemOf(found));
			reject(
				accountsError("wrong_authority", `The machine at ${url.origin} is not of the warren that this code is for.`),
			);
		});
	});
}

function chainOf(leaf: DetailedPeerCertificate): Buffer[] {
	const chain: Buffer[] = [];
	for (
		let at: DetailedPeerCertificate | undefined = leaf;
		at?.raw !== undefined && chain.length < maxChain;
		at = at.issuerCertificate === at ? undefined : at.issuerCertificate
	)
		chain.push(at.raw);
	return chain;
}

function pemOf(der: Buffer): string {
	const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
	return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
