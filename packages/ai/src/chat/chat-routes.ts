import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Random } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { personOf, spenderOf } from "../ai-route.ts";
import { aiError } from "../errors.ts";
import type { ProviderKeys } from "../keys/provider-keys.ts";
import { aiLimits } from "../limits.ts";
import type { Provider } from "../providers/provider-table.ts";
import { readBody } from "../proxy/request-body.ts";
import { type ChatDeps, runChat } from "./chat.ts";
import { parseChat } from "./chat-request.ts";
import { type ChatRun, parseOffset } from "./chat-run.ts";
import type { ChatRuns } from "./chat-runs.ts";
import type { HubToolSource } from "./hub-tools.ts";

export interface ChatRouteDeps extends ChatDeps {
	readonly random: Random;
	readonly keys: ProviderKeys;
	readonly runs: ChatRuns;
	readonly owner: string;
	readonly tools: HubToolSource;
}

/** A person's own key, for this one request. */
export const ownKeyHeader = "x-provider-api-key";

/** `POST /ai/chat`, its resumption and its cancel. */
export function chatRoutes(deps: ChatRouteDeps): Route[] {
	const facts = { owner: deps.owner, credentials: ["session"] } as const;
	return [
		{
			...facts,
			method: "POST",
			path: "/ai/chat",
			about: { summary: "Chat, as an event stream" },
			stream: async (context, incoming, outgoing) => {
				const person = personOf(context);
				const lastSeen = context.headers["last-event-id"];
				if (lastSeen !== undefined) {
					incoming.resume();
					return resume(deps, context, outgoing, String(lastSeen), context.headers["x-run-id"]);
				}
				return begin(deps, context, person, incoming, outgoing);
			},
		},
		{
			...facts,
			method: "GET",
			path: "/ai/chat",
			about: { summary: "Go on with a run" },
			stream: (context, _incoming, outgoing) => {
				const offset = context.query.get("offset") ?? String(context.headers["last-event-id"] ?? "-1");
				return resume(deps, context, outgoing, offset, context.query.get("runId") ?? undefined);
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/ai/chat/:run",
			about: { summary: "Stop a run" },
			handle: (context) => {
				deps.runs.get(personOf(context).userId, context.params["run"] ?? "").cancel();
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
	];
}

async function begin(
	deps: ChatRouteDeps,
	context: RequestContext,
	person: ReturnType<typeof personOf>,
	incoming: IncomingMessage,
	outgoing: ServerResponse,
): Promise<void> {
	const asked = await parseChat(await readJson(incoming, deps), context.headers, deps.random);
	const spender = spenderOf(person);
	const refusal = await deps.budgets.refuse(spender);
	if (refusal !== null) throw refusal;
	const key = keyOf(deps, context, asked.provider);
	const tools = asked.workspaces ? await deps.tools(person) : [];
	const abort = new AbortController();
	const run = deps.runs.begin(spender.user, asked.params.runId, abort);
	void runChat(deps, run, asked, { spender, key, abort, tools }).finally(() => deps.runs.ended(run));
	await send(run, 0, context, outgoing, deps);
}

async function resume(
	deps: ChatRouteDeps,
	context: RequestContext,
	outgoing: ServerResponse,
	offset: string,
	named: string | string[] | undefined,
): Promise<void> {
	const at = parseOffset(offset);
	const id = at?.run ?? named;
	if (at === null || typeof id !== "string")
		throw aiError("bad_chat", `"${offset.slice(0, 80)}" is no place in a run.`, {
			fix: "Send Last-Event-ID as it came, or runId with offset=-1.",
		});
	const run = deps.runs.get(personOf(context).userId, id);
	await send(run, at.sequence, context, outgoing, deps);
}

/** The caller's own key, else the hub's. @throws WarrenError `no_provider_key`, `bad_chat`. */
function keyOf({ keys }: ChatRouteDeps, { headers }: RequestContext, provider: Provider): string | null {
	const own = headers[ownKeyHeader];
	if (own === undefined || provider.auth === "none") return keys.get(provider);
	if (typeof own !== "string" || !/^[\x21-\x7e]{1,4096}$/.test(own))
		throw aiError("bad_chat", `${ownKeyHeader} is no key.`);
	return own;
}

/** @throws WarrenError `body_too_large`, `bad_chat`. */
async function readJson(incoming: IncomingMessage, { clock }: ChatRouteDeps): Promise<unknown> {
	const body = await readBody(incoming, clock);
	let bytes: Buffer;
	if (body.kind === "passing") {
		const chunks: Buffer[] = [];
		for await (const chunk of body.stream) chunks.push(chunk as Buffer);
		bytes = Buffer.concat(chunks);
	} else bytes = body.kind === "held" ? body.bytes : Buffer.alloc(0);
	try {
		return JSON.parse(bytes.toString("utf8"));
	} catch (cause) {
		throw aiError("bad_chat", `The body is not valid JSON: ${(cause as Error).message.slice(0, 120)}.`);
	}
}

/** A reader that takes nothing for long is cut; the run goes on without it. */
async function send(
	run: ChatRun,
	sequence: number | "now",
	context: RequestContext,
	outgoing: ServerResponse,
	{ clock }: ChatRouteDeps,
): Promise<void> {
	outgoing.writeHead(200, {
		...dataHeaders,
		"content-type": "text/event-stream",
		"cache-control": "no-cache, no-transform",
		"x-accel-buffering": "no",
		"x-run-id": run.id,
	});
	outgoing.flushHeaders();
	const { signal } = context;
	for await (const text of run.read(sequence, signal)) {
		if (outgoing.write(text)) continue;
		const stalled = clock.after(aiLimits.maxStallMs, () => outgoing.destroy());
		await once(outgoing, "drain", { signal }).catch(() => undefined);
		stalled.cancel();
	}
	outgoing.end();
}
