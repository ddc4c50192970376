import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { type Authenticator, type Clock, type Closeable, equalSecrets, type Logger, messageOf } from "@warren/kernel";
import { dataHeaders, HostTable, Listener, type RequestContext, writeError } from "@warren/net";
import { Agent, type Dispatcher } from "undici";
import { z } from "zod";
import { agentError } from "./agent-errors.ts";
import type { HubSession } from "./hub-session.ts";

export const relayLimits = {
	maxBodyBytes: 32 * 1024 * 1024,
	connectMs: 5_000,
	firstByteMs: 10 * 60_000,
	idleMs: 5 * 60_000,
	retryAfterMs: 2_000,
	/** How long a request waits for a window to show a fresh session. */
	refreshMs: 15_000,
} as const;

export interface HubPlace {
	/** Origin. */
	readonly url: string;
	/** PEM; null trusts the system's. */
	readonly ca: string | null;
	/** This very machine, by whatever certificate it shows. */
	readonly loopback?: boolean;
}

/** Runs one of a workspace's actions for the agent's person. @throws WarrenError. */
export type RunTool = (workspace: string, action: string, input: unknown) => Promise<unknown>;

const notOn = new Set([
	"host",
	"connection",
	"keep-alive",
	"transfer-encoding",
	"content-length",
	"upgrade",
	"te",
	"trailer",
	"expect",
	"authorization",
	"x-api-key",
	"x-goog-api-key",
	"proxy-authorization",
	"cookie",
]);
const notBack = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "trailer", "te", "set-cookie"]);

/**
 * What the agent calls instead of the hub: a listener on loopback whose secret is good for one process. It puts the
 * person's session in the secret's place, so that a refreshed one counts at once, and the agent holds none.
 */
export class AgentRelay implements Closeable {
	readonly #session: HubSession;
	readonly #hub: HubPlace;
	readonly #agent: Agent;
	#listener: Listener | undefined;
	#secret = "";

	private constructor(session: HubSession, hub: HubPlace) {
		this.#session = session;
		this.#hub = hub;
		this.#agent = new Agent({
			connect: {
				timeout: relayLimits.connectMs,
				...(hub.ca !== null ? { ca: hub.ca } : hub.loopback === true ? { rejectUnauthorized: false } : {}),
			},
			headersTimeout: relayLimits.firstByteMs,
			bodyTimeout: relayLimits.idleMs,
		});
	}

	static async open(
		deps: { readonly clock: Clock; readonly logger: Logger },
		options: { readonly session: HubSession; readonly hub: HubPlace; readonly runTool: RunTool },
	): Promise<AgentRelay> {
		const relay = new AgentRelay(options.session, options.hub);
		const authenticator: Authenticator = {
			kinds: ["service"],
			authenticate: async (credential) =>
				credential.scheme === "bearer" && relay.#secret !== "" && equalSecrets(credential.token, relay.#secret)
					? { ok: true, kind: "service", identity: { kind: "service", service: "agent", tokenId: "agent" } }
					: { ok: false, reason: "invalid", message: "This secret is not, or no longer, good here." },
		};
		const facts = {
			owner: "sidecar",
			credentials: ["service"],
			tokenPlaces: { headers: ["x-api-key", "x-goog-api-key"], query: "key" },
		} as const;
		relay.#listener = await Listener.open(deps, {
			role: "agent-relay",
			host: "127.0.0.1",
			port: 0,
			tls: null,
			hosts: new HostTable(["127.0.0.1"]),
			authenticator,
			routes: [
				{
					...facts,
					method: "ALL",
					path: "/proxy/:provider/*",
					stream: (context, incoming, outgoing) => relay.#forward(context, incoming, outgoing),
				},
				{
					...facts,
					method: "POST",
					path: "/tools/:workspace/:action",
					maxBodyBytes: 2 * 1024 * 1024,
					handle: async (context) => {
						const input = await context.json(z.unknown());
						const { workspace = "", action = "" } = context.params;
						const result = await options.runTool(workspace, action, input);
						return Response.json({ result: result ?? null }, { headers: dataHeaders });
					},
				},
			],
		});
		return relay;
	}

	get url(): string {
		return `http://127.0.0.1:${this.#listener?.port ?? 0}`;
	}

	/** From now on, this secret alone is good. */
	setSecret(secret: string): void {
		this.#secret = secret;
	}

	/** Asks the hub something small on the person's behalf. @throws Error. */
	async ask(path: string): Promise<unknown> {
		const answer = await this.#agent.request({
			origin: this.#hub.url,
			path,
			method: "GET",
			headers: { authorization: `Bearer ${this.#session.token}`, accept: "application/json" },
			signal: AbortSignal.timeout(relayLimits.retryAfterMs * 5),
		});
		const text = await answer.body.text();
		if (answer.statusCode !== 200) throw new Error(`the hub answered ${answer.statusCode} to ${path}`);
		return JSON.parse(text);
	}

	async close(): Promise<void> {
		await this.#listener?.close();
		await this.#agent.destroy();
	}

	async #forward(context: RequestContext, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
		const body = await readWhole(incoming);
		let { token } = this.#session;
		for (let tries = 0; ; tries += 1) {
			const answer = await this.#send(context, incoming, body, token).catch((fault: unknown) => {
				// Both 401 and 402 would end the agent's turn; a 503 it tries again.
				throw agentError("hub_away", `The hub at ${this.#hub.url} does not answer: ${messageOf(fault)}.`, {
					details: { retryAfterMs: relayLimits.retryAfterMs },
				});
			});
			if (answer.statusCode === 401 && answer.headers["x-warren-upstream"] === undefined) {
				const text = await answer.body.text();
				const refused = /"error":"unauthorized"/.test(text);
				const next = refused && tries === 0 ? await this.#session.afterRefusal(token, relayLimits.refreshMs) : null;
				if (next !== null) {
					token = next;
					continue;
				}
				if (!refused) {
					outgoing.writeHead(401, { "content-type": "application/json" }).end(text);
					return;
				}
				writeError(
					outgoing,
					agentError("session_ended", "Your session at the hub has ended.", { fix: "Sign in again, then go on." }),
				);
				return;
			}
			outgoing.writeHead(answer.statusCode, headersBack(answer.headers));
			outgoing.flushHeaders();
			await pipeline(answer.body, outgoing).catch(() => outgoing.destroy());
			return;
		}
	}

	#send(
		context: RequestContext,
		incoming: IncomingMessage,
		body: Buffer | null,
		token: string,
	): Promise<Dispatcher.ResponseData> {
		const headers: Record<string, string> = { authorization: `Bearer ${token}` };
		for (const [name, value] of Object.entries(context.headers))
			if (value !== undefined && !notOn.has(name)) headers[name] = String(value);
		const target = new URL(incoming.url ?? context.path, "http://relay.invalid");
		target.searchParams.delete("key");
		return this.#agent.request({
			origin: this.#hub.url,
			path: context.path + target.search,
			method: context.method as Dispatcher.HttpMethod,
			headers,
			body,
			signal: context.signal,
		});
	}
}

function headersBack(headers: Dispatcher.ResponseData["headers"]): Record<string, string | string[]> {
	return Object.fromEntries(
		Object.entries(headers).filter(
			(entry): entry is [string, string | string[]] => entry[1] !== undefined && !notBack.has(entry[0]),
		),
	);
}

/** Held whole: a session that is refreshed meanwhile sends it again. @throws WarrenError `body_too_large`. */
async function readWhole(incoming: IncomingMessage): Promise<Buffer | null> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of incoming) {
		size += (chunk as Buffer).length;
		if (size > relayLimits.maxBodyBytes) throw agentError("path_not_allowed", "The request is too large.");
		chunks.push(chunk as Buffer);
	}
	return size === 0 ? null : Buffer.concat(chunks);
}
