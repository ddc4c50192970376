import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pageOriginHeader, vouchHeader } from "@warren/accounts";
import { type Clock, type Closeable, closeCodes, defineErrors, messageOf, WarrenError } from "@warren/kernel";
import { type RequestContext, type Route, spliceUpgrade, type Upgrade, upgradeUpstream } from "@warren/net";
import { buildConnector, type Dispatcher, Pool } from "undici";
import type { LocalRooms } from "./local-rooms.ts";

const hubError = defineErrors({
	hub_away: {
		status: 503,
		retryable: true,
		fix: "Your terminals work without it. It is tried again at the next request.",
	},
	hub_refused: { status: 502 },
});

const limits = {
	connectMs: 5_000,
	headersMs: 60_000,
	/** For documents, which this machine has too. */
	roomsHeadersMs: 10_000,
	bodyMs: 300_000,
	maxConnections: 128,
	retryAfterMs: 2_000,
} as const;

/** What a browser sends to the hub through this node's own origin. */
const forwardedPaths = [
	"/auth/*",
	"/me",
	"/me/*",
	"/ai/*",
	"/proxy/*",
	"/api/settings/*",
	"/admin",
	"/admin/*",
	"/openapi",
	"/openapi/*",
	"/v1/machines",
	"/v1/machines/*",
	"/v1/invites",
] as const;
const forwardedSockets = ["/v1/machines/watch"] as const;
const hopByHop = new Set([
	"connection",
	"keep-alive",
	"proxy-authenticate",
	"proxy-authorization",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
	"expect",
]);
/** Never the client's word: ours replaces them. */
const ours = new Set([
	"host",
	"origin",
	"forwarded",
	"x-forwarded-for",
	"x-forwarded-host",
	"x-forwarded-proto",
	"x-real-ip",
	vouchHeader,
	pageOriginHeader,
]);

export interface HubForwardOptions {
	readonly hubUrl: URL;
	/** PEM of the warren's CA; null trusts the system's (a public name). */
	readonly ca: string | null;
	readonly nodeToken: string;
	/** Documents while the hub is away. */
	readonly local: LocalRooms;
	/** Whether the hub was tried a moment ago and did not answer. */
	readonly hubFails: () => boolean;
}

/**
 * The hub, on this node's own origin, so that a page needs no other: streams both ways, changes no byte of a body. The
 * listener has checked Origin and Host already; the hub sees its own origin and judges the credentials.
 */
export class HubForward implements Closeable {
	readonly #options: HubForwardOptions;
	readonly #clock: Clock;
	readonly #connect: buildConnector.connector;
	readonly #pool: Pool;

	constructor(options: HubForwardOptions, clock: Clock) {
		this.#options = options;
		this.#clock = clock;
		this.#connect = buildConnector({ timeout: limits.connectMs, ...(options.ca === null ? {} : { ca: options.ca }) });
		this.#pool = new Pool(options.hubUrl.origin, {
			connect: this.#connect,
			connections: limits.maxConnections,
			pipelining: 1,
			headersTimeout: limits.headersMs,
			bodyTimeout: limits.bodyMs,
		});
	}

	routes(): Route[] {
		const facts = {
			owner: "hub",
			credentials: ["none"],
			about: { summary: "The hub's, passed on: /openapi/json is its description" },
		} as const;
		return [
			...forwardedPaths.map(
				(path): Route => ({
					...facts,
					method: "ALL",
					path,
					stream: (context, incoming, outgoing) => this.#forward(context, incoming, outgoing),
				}),
			),
			...forwardedSockets.map(
				(path): Route => ({ ...facts, method: "WS", path, open: (context, upgrade) => this.#splice(context, upgrade) }),
			),
			...["/rooms", "/rooms/*"].map(
				(path): Route => ({ ...facts, method: "ALL", path, handle: (context) => this.#rooms(context) }),
			),
			...["/rooms", "/rooms/:room/sync"].map(
				(path): Route => ({ ...facts, method: "WS", path, open: (context, upgrade) => this.#room(context, upgrade) }),
			),
		];
	}

	close(): Promise<void> {
		return this.#pool.destroy();
	}

	async #forward(context: RequestContext, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
		const hasBody =
			incoming.headers["content-length"] !== undefined || incoming.headers["transfer-encoding"] !== undefined;
		const answer = await this.#pool
			.request({
				path: incoming.url ?? context.path,
				method: context.method as Dispatcher.HttpMethod,
				headers: this.#outgoingHeaders(context),
				body: hasBody ? incoming : null,
				signal: context.signal,
			})
			.catch((fault: unknown) => {
				throw this.#away(fault);
			});
		outgoing.writeHead(answer.statusCode, withoutHopByHop(answer.headers));
		// An event stream has no first byte for a while: its head must not wait for one.
		outgoing.flushHeaders();
		try {
			await pipeline(answer.body, outgoing);
		} catch {
			// Broken off in the middle: the client must see that, never a clean end.
			outgoing.destroy();
		}
	}

	/** The hub's documents, or this machine's own copies while it is away. What may have reached the hub is not done again here. */
	async #rooms(context: RequestContext): Promise<Response> {
		const { local, hubFails } = this.#options;
		const isSafe = context.method === "GET" || context.method === "HEAD";
		const body = isSafe ? null : new Uint8Array(await context.request.arrayBuffer());
		if (hubFails()) return local.answer(context, body);
		let answer: Dispatcher.ResponseData;
		try {
			answer = await this.#pool.request({
				path: pathOf(context),
				method: context.method as Dispatcher.HttpMethod,
				headers: this.#outgoingHeaders(context),
				body,
				headersTimeout: limits.roomsHeadersMs,
				signal: context.signal,
			});
		} catch (fault) {
			if (context.signal.aborted || !(isSafe || wasNeverSent(fault))) throw this.#away(fault);
			return local.answer(context, body);
		}
		void local.note(context, false);
		return passedOn(answer);
	}

	async #room(context: RequestContext, upgrade: Upgrade): Promise<void> {
		const { local, hubFails } = this.#options;
		if (hubFails()) return local.open(context, upgrade);
		void local.note(context, true);
		try {
			await this.#splice(context, upgrade);
		} catch (fault) {
			if (!(fault instanceof WarrenError) || fault.code !== "hub_away") throw fault;
			await local.open(context, upgrade);
		}
	}

	async #splice(context: RequestContext, upgrade: Upgrade): Promise<void> {
		const { host, hostname, port, protocol } = this.#options.hubUrl;
		const socket = await new Promise<Socket>((resolve, reject) => {
			this.#connect({ hostname, port: port === "" ? "443" : port, protocol }, (fault, connected) =>
				fault === null ? resolve(connected) : reject(this.#away(fault)),
			);
		});
		const { connection: _hop, ...headers } = this.#outgoingHeaders(context);
		const offered = context.headers["sec-websocket-protocol"];
		const answer = await upgradeUpstream(
			{
				socket,
				host,
				path: pathOf(context),
				headers: { ...headers, ...(typeof offered === "string" ? { "sec-websocket-protocol": offered } : {}) },
				signal: context.signal,
			},
			this.#clock,
		);
		if (answer.kind === "switched") {
			spliceUpgrade(upgrade, answer);
			return;
		}
		if (answer.kind === "silent") throw this.#away(answer.cause);
		const message =
			answer.kind === "refused"
				? `The hub answered ${answer.status} to the upgrade.`
				: `The hub broke off the handshake: ${answer.why}.`;
		upgrade.refuse(closeCodes.unavailable, hubError("hub_refused", message));
	}

	#outgoingHeaders(context: RequestContext): Record<string, string> {
		return {
			...clientHeaders(context.headers),
			origin: this.#options.hubUrl.origin,
			"x-forwarded-for": context.remoteAddress,
			[vouchHeader]: this.#options.nodeToken,
			[pageOriginHeader]: context.origin,
		};
	}

	#away(fault: unknown): WarrenError {
		const url = this.#options.hubUrl.origin;
		const reason = messageOf(fault);
		return hubError("hub_away", `The hub at ${url} does not answer: ${reason}.`, {
			details: { retryAfterMs: limits.retryAfterMs },
			cause: fault,
		});
	}
}

function clientHeaders(headers: IncomingHttpHeaders): Record<string, string> {
	const named = new Set((headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
	const passed: Record<string, string> = {};
	for (const [name, value] of Object.entries(headers)) {
		if (
			value === undefined ||
			hopByHop.has(name) ||
			ours.has(name) ||
			named.has(name) ||
			name.startsWith("sec-websocket-")
		)
			continue;
		passed[name] = Array.isArray(value) ? value.join(", ") : value;
	}
	return passed;
}

function withoutHopByHop(headers: IncomingHttpHeaders): Record<string, string | string[]> {
	const named = new Set((headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
	const passed: Record<string, string | string[]> = {};
	for (const [name, value] of Object.entries(headers))
		if (value !== undefined && !hopByHop.has(name) && !named.has(name)) passed[name] = value;
	return passed;
}

function pathOf({ path, query }: RequestContext): string {
	return query.size === 0 ? path : `${path}?${query.toString()}`;
}

/** Nothing of the request left this machine: there was no connection to send it on. */
function wasNeverSent(fault: unknown): boolean {
	const code = (fault as { code?: string }).code ?? "";
	return /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/.test(code);
}

function passedOn(answer: Dispatcher.ResponseData): Response {
	const headers = new Headers();
	for (const [name, value] of Object.entries(withoutHopByHop(answer.headers)))
		for (const each of [value].flat()) headers.append(name, each);
	const { statusCode: status } = answer;
	if (status === 204 || status === 205 || status === 304) {
		void answer.body.dump();
		return new Response(null, { status, headers });
	}
	return new Response(Readable.toWeb(answer.body) as ReadableStream, { status, headers });
}
