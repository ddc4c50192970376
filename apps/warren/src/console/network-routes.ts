import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { memberCredentials } from "@warren/access";
import { messageOf, parseRequest, WarrenError } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { addStockDevice } from "../overlay/stock-device.ts";
import type { EdgeDoors } from "./edge-doors.ts";
import type { PolicyHistory } from "./policy-history.ts";

export interface NetworkRouteDeps {
	readonly doors: EdgeDoors;
	readonly history: PolicyHistory;
	/** The machine's data folder. */
	readonly dataPath: string;
	readonly record: (context: RequestContext, action: string, target: string, details?: object) => void;
	readonly actorOf: (context: RequestContext) => string;
}

const maxPolicyBytes = 1024 * 1024 + 1024;
const word = z.string().min(1).max(80);
const explainQuery = z.object({
	from: word,
	to: word,
	proto: z.enum(["tcp", "udp", "icmp"]).default("tcp"),
	port: z.coerce.number().pipe(z.int().min(0).max(65535)).optional(),
});
const deviceBody = z.object({ name: word, endpoint: z.string().max(64).optional() });
const policyBody = z.object({ text: z.string().max(maxPolicyBytes) });

/** The overlay and its policy, for this machine's own pages. */
export function networkRoutes({ doors, history, dataPath, record, actorOf }: NetworkRouteDeps): Route[] {
	const facts = { owner: "node", credentials: memberCredentials } as const;
	const show = (body: unknown, status = 200) => Response.json(body, { status, headers: dataHeaders });
	const readPolicy = async () => {
		const policy = await doors.askCoordinator((client) => client.text("GET", "/v1/policy"));
		history.seen(policy.etag, policy.text, null);
		return policy;
	};
	return [
		{
			...facts,
			method: "GET",
			path: "/api/network",
			about: { summary: "The overlay as this machine and its coordinator see it" },
			handle: async () =>
				show({ joiner: joinerStatus(dataPath), firstMachine: doors.firstMachine, ...(await topologyOf(doors)) }),
		},
		{
			...facts,
			method: "GET",
			path: "/api/network/explain",
			about: { summary: "Why one machine of the overlay can reach another, or not", query: explainQuery },
			handle: async (context) => {
				const { from, to, proto, port } = parseRequest(explainQuery, Object.fromEntries(context.query));
				const query = new URLSearchParams({ from, to, proto, ...(port === undefined ? {} : { port: String(port) }) });
				return show(await doors.askCoordinator((client) => client.call("GET", `/v1/policy/explain?${query}`)));
			},
		},
		{
			...facts,
			method: "POST",
			path: "/api/network/devices",
			about: { summary: "Let a device with the stock WireGuard app in, behind this machine", body: deviceBody },
			handle: async (context) => {
				const { name, endpoint } = await context.json(deviceBody);
				const added = await addStockDevice(dataPath, name, endpoint ?? null);
				record(context, "overlay.device.add", added.peer_id, { name });
				return show(added, 201);
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/api/network/peers/:peer",
			about: { summary: "Remove a peer from the overlay; it stays out until it is let in again" },
			handle: async (context) => {
				const peer = context.params["peer"] ?? "";
				await doors.askCoordinator((client) => client.text("DELETE", `/v1/mesh/peers/${encodeURIComponent(peer)}`));
				record(context, "overlay.peer.remove", peer);
				return show({ removed: peer });
			},
		},
		{
			...facts,
			method: "POST",
			path: "/api/network/peers/:peer/readmit",
			about: { summary: "Let a removed peer in again" },
			handle: async (context) => {
				const peer = context.params["peer"] ?? "";
				await doors.askCoordinator((client) =>
					client.text("POST", `/v1/mesh/peers/${encodeURIComponent(peer)}/readmit`),
				);
				record(context, "overlay.peer.readmit", peer);
				return show({ readmitted: peer });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/api/network/policy",
			about: { summary: "Who may reach whom: `{text, etag}`" },
			handle: async () => show(await readPolicy()),
		},
		{
			...facts,
			method: "PUT",
			path: "/api/network/policy",
			maxBodyBytes: maxPolicyBytes * 2,
			about: { summary: "Replace the policy; If-Match names the one that it replaces", body: policyBody },
			handle: async (context) => {
				const { text } = await context.json(policyBody);
				const ifMatch = context.headers["if-match"];
				// So that the one that is replaced can be restored, whoever wrote it.
				await readPolicy();
				const done = await doors.askCoordinator((client) =>
					client.text("PUT", "/v1/policy", text, ifMatch === undefined ? {} : { "if-match": ifMatch }),
				);
				history.seen(done.etag, done.text, actorOf(context));
				record(context, "overlay.policy.save", done.etag);
				return show(done);
			},
		},
		{
			...facts,
			method: "POST",
			path: "/api/network/policy/preview",
			maxBodyBytes: maxPolicyBytes * 2,
			about: { summary: "Which pairs of machines a policy would gain and lose", body: policyBody },
			handle: async (context) => {
				const { text } = await context.json(policyBody);
				const { text: answer } = await doors.askCoordinator((client) =>
					client.text("POST", "/v1/policy/preview", text),
				);
				return show(JSON.parse(answer));
			},
		},
		{
			...facts,
			method: "GET",
			path: "/api/network/policy/history",
			about: { summary: "Policies of before, the newest first" },
			handle: async () => {
				await readPolicy();
				return show({ versions: history.list() });
			},
		},
	];
}

/** What the coordinator knows, or why it could not be asked: a page shows this machine's own view all the same. */
async function topologyOf(doors: EdgeDoors): Promise<object> {
	try {
		return {
			coordinator: await doors.askCoordinator(async (client) => ({
				...(await client.call<object>("GET", "/v1/mesh/topology")),
				removed: (await client.call<{ removed: unknown[] }>("GET", "/v1/mesh/peers")).removed,
			})),
			error: null,
		};
	} catch (failure) {
		if (!(failure instanceof WarrenError)) throw failure;
		return { coordinator: null, error: failure.toBody() };
	}
}

/** As the joiner of this machine wrote it last; null where none has run. Its `updated_at` says how old it is. */
function joinerStatus(dataPath: string): unknown {
	const file = join(dataPath, "overlay", "status.json");
	if (!existsSync(file)) return null;
	try {
		return JSON.parse(readFileSync(file, "utf8"));
	} catch (cause) {
		throw new WarrenError("joiner_unreadable", `${file} cannot be read: ${messageOf(cause)}.`, {
			status: 500,
			fix: "The joiner writes it anew every five seconds: try again.",
			retryable: true,
			cause,
		});
	}
}
