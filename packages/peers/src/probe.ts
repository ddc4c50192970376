import type { ClientRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { type Clock, messageOf } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { z } from "zod";
import { addressKey, type PeerAddress } from "./address.ts";
import type { PeerDialer, Shown } from "./dialer.ts";
import { type PeerPath, tunnelHost } from "./path.ts";

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
			readonly shown: Shown;
			readonly rttMs: number;
			/** The Host by which it answers. */
			readonly host: string;
	  }
	| { readonly ok: false; readonly code: ProbeErrorCode; readonly message: string };

/**
 * Asks a peer for /api/identify on one path, with no credential. Never rejects. A machine need not know every name by
 * which others find it (a tailnet's, a router's) and refuses those with 421; it always knows its own address, so that is
 * what it is called then.
 */
export function probe(
	path: PeerPath,
	dialer: PeerDialer,
	clock: Clock,
	timeoutMs: number = probeLimits.timeoutMs,
): Promise<ProbeResult> {
	return new Promise((resolve) => {
		let asking: ClientRequest | undefined;
		let stream: Duplex | undefined;
		const abort = new AbortController();
		const settle = (result: ProbeResult) => {
			timer.cancel();
			abort.abort();
			asking?.destroy();
			stream?.destroy();
			resolve(result);
		};
		const timer = clock.after(timeoutMs, () =>
			settle({ ok: false, code: "timeout", message: `No answer within ${timeoutMs} ms.` }),
		);
		if (path.via === "tunnel") {
			const at = { host: tunnelHost, port: 443 };
			const ask = (opened: Duplex) => {
				stream = opened;
				if (abort.signal.aborted) return void opened.destroy();
				opened.on("error", () => {});
				asking = identify(at, tunnelHost, { dialer, clock, stream }, (answer) => settle(resultOf(answer, tunnelHost)));
				asking.once("error", (fault: NodeJS.ErrnoException) => settle(tunnelFault(fault)));
			};
			dialer.openTunnel(path.nodeId, abort.signal).then(ask, (fault: unknown) => settle(tunnelFault(fault)));
			return;
		}
		const { host, port } = path.address;
		const ask = (called: string) => {
			asking = identify({ host, port }, called, { dialer, clock }, (answer) => {
				const literal =
					answer.remoteAddress === null ? called : addressKey({ host: canonicalHost(answer.remoteAddress), port });
				if (answer.status === wrongHost && literal !== called) ask(literal);
				else settle(resultOf(answer, called));
			});
			asking.once("error", (fault: NodeJS.ErrnoException) => settle(faultOf(fault, host, port)));
		};
		ask(addressKey({ host, port }));
	});
}

/** RFC 9110 §15.5.20. */
const wrongHost = 421;

interface Answer {
	readonly status: number;
	/** Null when it was longer than its limit. */
	readonly body: string | null;
	readonly shown: Shown | null;
	readonly remoteAddress: string | null;
	readonly rttMs: number;
}

function identify(
	{ host, port }: PeerAddress,
	called: string,
	{ dialer, clock, stream }: { readonly dialer: PeerDialer; readonly clock: Clock; readonly stream?: Duplex },
	answered: (answer: Answer) => void,
): ClientRequest {
	const startedAt = clock.monotonic();
	const request = httpsRequest({
		host,
		port,
		path: "/api/identify",
		headers: { host: called, accept: "application/json" },
		...dialer.tls,
		...(stream === undefined
			? // An agent of its own: a resumed session would show no certificate.
				{ agent: false as const }
			: { createConnection: (options: unknown) => tlsConnect({ ...(options as ConnectionOptions), socket: stream }) }),
	});
	let shown: Shown | null = null;
	request.once("socket", (socket) => {
		socket.once("secureConnect", () => {
			shown = dialer.shown(socket as TLSSocket);
		});
	});
	request.once("response", (response) => {
		const facts = {
			status: response.statusCode ?? 0,
			rttMs: Math.round((clock.monotonic() - startedAt) * 10) / 10,
			remoteAddress: response.socket.remoteAddress ?? null,
		};
		let body = "";
		response.setEncoding("utf8");
		response.on("data", (chunk: string) => {
			body += chunk;
			if (body.length <= probeLimits.maxAnswerBytes) return;
			response.removeAllListeners();
			answered({ ...facts, shown, body: null });
		});
		response.once("end", () => answered({ ...facts, shown, body }));
	});
	request.end();
	return request;
}

function resultOf({ status, body, shown, rttMs }: Answer, host: string): ProbeResult {
	if (body === null) return notWarren("its answer is too long");
	const identity = status === 200 ? parseIdentity(body) : null;
	return identity === null || shown === null
		? notWarren(`it answered ${status} to /api/identify`)
		: { ok: true, ...identity, shown, rttMs, host };
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

function tunnelFault(fault: unknown): ProbeResult {
	return { ok: false, code: "unreachable", message: `Its tunnel does not carry: ${messageOf(fault)}.` };
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
