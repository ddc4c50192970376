import { pipeline } from "node:stream/promises";
import { type Audit, badRequest, type CredentialKind, describeIdentity, type Identity } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { agentError } from "./agent-errors.ts";
import type { CodingAgents } from "./agents.ts";

/** Carries the person's session at the hub, where the request is proved by something else (this machine's own device). */
export const hubSessionHeader = "x-warren-hub-session";

/** What of OpenCode's own server is passed on; no shell, no files, no configuration, no sharing. */
const passed: readonly { readonly method: string; readonly path: RegExp }[] = [
	{ method: "GET", path: /^session$/ },
	{ method: "POST", path: /^session$/ },
	{ method: "GET", path: /^session\/status$/ },
	// Of all folders.
	{ method: "GET", path: /^experimental\/session$/ },
	{ method: "GET", path: /^session\/[A-Za-z0-9_]+$/ },
	{ method: "DELETE", path: /^session\/[A-Za-z0-9_]+$/ },
	{ method: "GET", path: /^session\/[A-Za-z0-9_]+\/(message|todo|diff)$/ },
	{ method: "POST", path: /^session\/[A-Za-z0-9_]+\/(message|prompt_async|abort)$/ },
	{ method: "POST", path: /^session\/[A-Za-z0-9_]+\/permissions\/[A-Za-z0-9_]+$/ },
	{ method: "GET", path: /^permission$/ },
	{ method: "POST", path: /^permission\/[A-Za-z0-9_]+\/reply$/ },
	{ method: "GET", path: /^event$/ },
	{ method: "GET", path: /^experimental\/tool\/ids$/ },
	{ method: "GET", path: /^mcp$/ },
];

/** `/api/agent`: the person's coding agent on this machine. */
export function agentRoutes(
	agents: CodingAgents,
	options: { readonly owner: string; readonly credentials: readonly CredentialKind[]; readonly audit: Audit },
): Route[] {
	const record = (context: RequestContext, user: Identity, action: string) =>
		options.audit.record({
			actor: describeIdentity(user),
			action,
			target: "",
			outcome: "ok",
			address: context.remoteAddress,
		});
	const facts = { owner: options.owner, credentials: options.credentials } as const;
	const person = async (context: RequestContext) => {
		const token = tokenOf(context);
		const user = await agents.personOf(token, context.remoteAddress);
		// Each request shows the session that is good now.
		agents.get(user.userId)?.session.refresh(token);
		return { user, token };
	};
	const describe = (userId: string) =>
		Response.json(agents.get(userId)?.describe() ?? { state: "off" }, { headers: dataHeaders });
	return [
		{
			...facts,
			method: "GET",
			path: "/api/agent",
			about: { summary: "How one's coding agent is" },
			handle: async (context) => describe((await person(context)).user.userId),
		},
		{
			...facts,
			method: "POST",
			path: "/api/agent/start",
			about: { summary: "Start it" },
			handle: async (context) => {
				const { user, token } = await person(context);
				const isNew = agents.get(user.userId) === undefined;
				await agents.start(user, token);
				if (isNew) record(context, user, "agent.start");
				return describe(user.userId);
			},
		},
		{
			...facts,
			method: "POST",
			path: "/api/agent/stop",
			about: { summary: "Stop it" },
			handle: async (context) => {
				const { user } = await person(context);
				await agents.stop(user.userId);
				record(context, user, "agent.stop");
				return describe(user.userId);
			},
		},
		{
			...facts,
			method: "GET",
			path: "/api/agent/log",
			about: { summary: "What it has printed" },
			handle: async (context) => {
				const { user } = await person(context);
				return Response.json({ log: agents.get(user.userId)?.log ?? "" }, { headers: dataHeaders });
			},
		},
		{
			...facts,
			method: "ALL",
			path: "/api/agent/opencode/*",
			about: { summary: "What of the agent's own server is passed on" },
			stream: async (context, incoming, outgoing) => {
				const { user } = await person(context);
				const agent = agents.get(user.userId);
				if (agent === undefined) throw agentError("agent_not_running", "Your coding agent does not run here.");
				const rest = context.params["rest"] ?? "";
				if (!passed.some((each) => each.method === context.method && each.path.test(rest)))
					throw agentError(
						"path_not_allowed",
						`${context.method} ${rest.slice(0, 120)} of the agent does not pass here.`,
					);
				const body = context.method === "POST" ? await readText(incoming) : null;
				const query = context.query.size === 0 ? "" : `?${context.query.toString()}`;
				const answer = await agent.request(context.method, `/${rest}${query}`, body, context.signal);
				outgoing.writeHead(answer.status, {
					...dataHeaders,
					"content-type": String(answer.headers["content-type"] ?? "application/json"),
				});
				outgoing.flushHeaders();
				await pipeline(answer.body, outgoing).catch(() => outgoing.destroy());
			},
		},
	];
}

/** @throws WarrenError `bad_session`. */
function tokenOf({ headers, credential }: RequestContext): string {
	const shown = headers[hubSessionHeader];
	if (typeof shown === "string" && /^[A-Za-z0-9._~+/=%-]{1,512}$/.test(shown)) return shown;
	const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
	if (credential === "session" && bearer !== undefined) return bearer;
	throw agentError("bad_session", `The request shows no session of the hub (${hubSessionHeader}).`);
}

const maxPromptBytes = 8 * 1024 * 1024;

async function readText(incoming: AsyncIterable<unknown>): Promise<string> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of incoming) {
		size += (chunk as Buffer).length;
		if (size > maxPromptBytes) throw badRequest(`The body is larger than ${maxPromptBytes} bytes.`);
		chunks.push(chunk as Buffer);
	}
	return size === 0 ? "{}" : Buffer.concat(chunks).toString("utf8");
}
