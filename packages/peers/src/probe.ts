import { request as httpsRequest } from "node:https";
import type { TLSSocket } from "node:tls";
import type { Clock, Fingerprint } from "@warren/kernel";
import { z } from "zod";
import type { PeerAddress } from "./address.ts";
import { shownFingerprint } from "./pinned-connector.ts";

export const probeLimits = { timeoutMs: 1_500, maxAnswerBytes: 4096 } as const;

/** Product names that speak this API. */
const identifySchema = z.object({ app: z.enum(["warren", "mobux"]), version: z.string().max(64) });

export type ProbeErrorCode =
	| "timeout"
	| "refused"
	| "unresolved"
	| "not_warren"
	| "pin_mismatch"
	| "tls"
	| "unreachable";

export type ProbeResult =
	| {
			readonly ok: true;
			readonly app: "warren" | "mobux";
			readonly version: string;
			readonly fingerprint: Fingerprint;
			readonly rttMs: number;
	  }
	| { readonly ok: false; readonly code: ProbeErrorCode; readonly message: string };

/** Asks an address for /api/identify, with no credential. Never rejects. */
export function probe(
	{ host, port }: PeerAddress,
	clock: Clock,
	timeoutMs: number = probeLimits.timeoutMs,
): Promise<ProbeResult> {
	return new Promise((resolve) => {
		const startedAt = clock.monotonic();
		let fingerprint: Fingerprint | null = null;
		let body = "";
		const settle = (result: ProbeResult) => {
			timer.cancel();
			request.destroy();
			resolve(result);
		};
		const timer = clock.after(timeoutMs, () =>
			settle({ ok: false, code: "timeout", message: `No answer within ${timeoutMs} ms.` }),
		);
		const request = httpsRequest({
			host,
			port,
			path: "/api/identify",
			headers: { accept: "application/json" },
			rejectUnauthorized: false,
			// An agent of its own: a resumed session would show no certificate.
			agent: false,
		});
		request.once("socket", (socket) => {
			socket.once("secureConnect", () => {
				fingerprint = shownFingerprint(socket as TLSSocket);
			});
		});
		request.once("response", (response) => {
			const rttMs = Math.round((clock.monotonic() - startedAt) * 10) / 10;
			response.setEncoding("utf8");
			response.on("data", (chunk: string) => {
				body += chunk;
				if (body.length > probeLimits.maxAnswerBytes) settle(notWarren("its answer is too long"));
			});
			response.once("end", () => {
				const identity = response.statusCode === 200 ? parseIdentity(body) : null;
				if (identity === null || fingerprint === null)
					settle(notWarren(`it answered ${response.statusCode} to /api/identify`));
				else settle({ ok: true, ...identity, fingerprint, rttMs });
			});
		});
		request.once("error", (fault: NodeJS.ErrnoException) => settle(faultOf(fault, host, port)));
		request.end();
	});
}

function parseIdentity(body: string): z.infer<typeof identifySchema> | null {
	try {
		return identifySchema.safeParse(JSON.parse(body)).data ?? null;
	} catch {
		// Not JSON: some other service.
		return null;
	}
}

function notWarren(why: string): ProbeResult {
	return { ok: false, code: "not_warren", message: `Something else listens there: ${why}.` };
}

function faultOf(fault: NodeJS.ErrnoException, host: string, port: number): ProbeResult {
	switch (fault.code) {
		case "ECONNREFUSED":
			return { ok: false, code: "refused", message: `Nothing listens on port ${port} of ${host}.` };
		case "ENOTFOUND":
		case "EAI_AGAIN":
			return { ok: false, code: "unresolved", message: `The name ${host} does not resolve.` };
		case "EHOSTUNREACH":
		case "ENETUNREACH":
			return { ok: false, code: "unreachable", message: `There is no route to ${host}.` };
		default:
			return {
				ok: false,
				code: /SSL|TLS|EPROTO/.test(fault.code ?? "") ? "tls" : "unreachable",
				message: `${host}:${port}: ${fault.message}.`,
			};
	}
}

/** What to do about each, shown with the peer. */
export const probeFixes: Readonly<Record<ProbeErrorCode, string>> = {
	timeout: "Is the machine on, and on this network?",
	refused: "Start Warren there: warren up",
	unresolved: "Check the name, or use the machine's address.",
	not_warren: "Check the port; Warren's is 5151 unless it was changed.",
	pin_mismatch: "If you reinstalled that machine, compare the fingerprints and trust the new one.",
	tls: "The port answers, but not with TLS. Was it started with --http?",
	unreachable: "Is the machine on, and on this network?",
};
