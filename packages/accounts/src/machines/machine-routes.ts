import { type Audit, type Clock, type CredentialKind, closeCodes, type Identity, RateLimit } from "@warren/kernel";
import { parseHost, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { cleanName } from "../device-name.ts";
import { accountsError } from "../errors.ts";
import { adminOf, answer, nothing, recordTo } from "../hub-route.ts";
import type { TicketKey } from "../tickets/ticket.ts";
import { formatJoinCode, joinFingerprint } from "./join-code.ts";
import { joinCodeLimits } from "./join-codes.ts";
import { type Machines, machineLimits } from "./machines.ts";

/** Signs a machine's own key: `Authority.issueForCsr`, which takes names from here and never from the request. */
export type IssueLeaf = (request: {
	readonly csr: string;
	readonly name: string;
	readonly hosts: readonly string[];
	/** Stands in the certificate: by it the machine's peers know it. */
	readonly nodeId: string;
}) => Promise<string>;

export interface JoinDeps {
	readonly issueLeaf: IssueLeaf;
	/** The warren's CA, PEM. */
	readonly ca: string;
}

const host = z
	.string()
	.max(253)
	.refine(
		(each) => parseHost(each.includes(":") ? `[${each}]` : each)?.port === null,
		"must be a host name or an address",
	);
const facts = {
	name: z
		.string()
		.max(256)
		.transform((text) => cleanName(text))
		.pipe(z.string().min(1).max(63)),
	hosts: z.array(host).min(1).max(machineLimits.maxHosts),
	port: z.number().int().min(1).max(65_535),
	version: z.string().max(40).default(""),
};
const inviteBody = z.object({
	expiresInMs: z.number().int().min(10_000).max(joinCodeLimits.lifetimeMs).default(joinCodeLimits.lifetimeMs),
});
const joinBody = z.object({
	secret: z.string().min(20).max(100),
	csr: z.string().max(8192),
	nodeId: z
		.string()
		.regex(/^[a-z0-9]{8,40}$/, "must be 8 to 40 lower-case letters and digits")
		.optional(),
	...facts,
});
const renewBody = z.object({ csr: z.string().max(8192) });
const selfBody = z.object({ ...facts, version: z.string().max(40) }).partial();

/** Watching sockets, all told; each has its own buffer limit. */
const maxWatchers = 1000;
const perAddress = { perSecond: 0.2, burst: 10, maxKeys: 10_000 } as const;

/** Those who run this hub: an administrator's session, or the console of the machine itself. */
export const adminKinds: readonly CredentialKind[] = ["session", "admin"];

/** Joining and the list of machines: docs/api-hub.md. */
export function machineRoutes(deps: {
	readonly machines: Machines;
	readonly clock: Clock;
	readonly audit: Audit;
	/** Null: this hub holds no CA, and no machine can join through it. */
	readonly join: JoinDeps | null;
	readonly hubUrl: string;
	readonly ticketKey: TicketKey;
	readonly ownerId: () => Promise<string>;
	/** What the session's cookie is called: a machine that stands in for the hub must know it. */
	readonly sessionCookie: string;
}): Route[] {
	const { machines } = deps;
	const owner = "hub";
	const record = recordTo(deps.audit);
	const tries = new RateLimit(deps.clock, perAddress);
	let watching = 0;
	return [
		{
			owner,
			method: "POST",
			path: "/v1/invites",
			about: { summary: "A code with which one more machine joins", body: inviteBody },
			credentials: adminKinds,
			handle: async (context) => {
				const by = administrator(context);
				const { ca } = joinOf(deps.join);
				const body = await context.json(inviteBody);
				const { secret, expiresAt } = await machines.joinCodes.make(by ?? (await deps.ownerId()), body.expiresInMs);
				record(context, "machine.invite", "");
				return answer(
					{ code: formatJoinCode({ secret, fingerprint: joinFingerprint(ca) }), hubUrl: deps.hubUrl, expiresAt },
					201,
				);
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/join",
			about: { summary: "Join as a machine", body: joinBody },
			credentials: ["none"],
			handle: async (context) => {
				const { issueLeaf, ca } = joinOf(deps.join);
				const waitMs = tries.take(context.remoteAddress);
				if (waitMs > 0)
					throw accountsError("rate_limited", `Too many tries to join from ${context.remoteAddress}.`, {
						details: { retryAfterMs: waitMs },
					});
				const { secret, csr, nodeId, ...said } = await context.json(joinBody);
				const { machine, nodeToken, issued } = await machines.join(
					secret,
					{ ...said, nodeId: nodeId ?? null },
					(hosts, id) => issueLeaf({ csr, name: said.name, hosts, nodeId: id }),
				);
				tries.forgive(context.remoteAddress);
				record(context, "machine.join", machine.nodeId, { details: { name: machine.name } });
				return answer(
					{
						nodeId: machine.nodeId,
						cert: issued,
						ca,
						nodeToken,
						hubUrl: deps.hubUrl,
						owner: { userId: machine.ownerId || (await deps.ownerId()) },
						ticketKey: deps.ticketKey,
					},
					201,
				);
			},
		},
		{
			owner,
			method: "GET",
			path: "/v1/machines",
			about: { summary: "The machines of this warren" },
			credentials: ["session", "node", "admin"],
			handle: async () => answer({ machines: await machines.list() }),
		},
		{
			owner,
			method: "WS",
			path: "/v1/machines/watch",
			about: { summary: "The machines, and each change" },
			credentials: ["session", "node", "admin"],
			open: async (_context, upgrade) => {
				if (watching >= maxWatchers)
					throw accountsError("rate_limited", `${maxWatchers} sockets already watch the machines.`);
				const connection = upgrade.accept({ maxMessageBytes: 1024, maxBufferedBytes: 1024 * 1024 });
				watching += 1;
				// Changes that come while the list is read are sent after it: each says the whole of one machine.
				const early: string[] = [];
				let listed = false;
				const send = (message: unknown) => {
					const text = JSON.stringify(message);
					if (listed) connection.send(text);
					else early.push(text);
				};
				const subscription = machines.watch(send);
				connection.onMessage(() => void connection.close(closeCodes.badRequest, "nothing is expected here"));
				connection.onClose(() => {
					watching -= 1;
					void subscription.close();
				});
				connection.send(JSON.stringify({ type: "machines", machines: await machines.list() }));
				listed = true;
				for (const text of early) connection.send(text);
			},
		},
		{
			owner,
			method: "PUT",
			path: "/v1/machines/self",
			about: { summary: "What a machine says of itself: its heartbeat", body: selfBody },
			credentials: ["node"],
			handle: async (context) => {
				const identity = context.identity as Extract<Identity, { kind: "node" }>;
				const said = await context.json(selfBody);
				const machine = await machines.update(identity.nodeId, defined(said));
				// A machine may have joined before there was an owner: it learns whose it is here.
				const ownerId = machine.ownerId || (await deps.ownerId());
				return answer({ ...machine, owner: { userId: ownerId }, sessionCookie: deps.sessionCookie });
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/machines/self/certificate",
			about: { summary: "A new leaf for a machine", body: renewBody },
			credentials: ["node"],
			handle: async (context) => {
				const { issueLeaf, ca } = joinOf(deps.join);
				const machine = await machines.get((context.identity as Extract<Identity, { kind: "node" }>).nodeId);
				const { csr } = await context.json(renewBody);
				const hosts = await machines.certifiedHosts(machine.nodeId);
				const cert = await issueLeaf({ csr, name: machine.name, hosts, nodeId: machine.nodeId });
				record(context, "machine.certificate", machine.nodeId);
				return answer({ cert, ca }, 201);
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/v1/machines/:machine",
			about: { summary: "Remove a machine from the warren" },
			credentials: adminKinds,
			handle: async (context) => {
				administrator(context);
				const id = context.params["machine"] ?? "";
				await machines.remove(id);
				record(context, "machine.remove", id);
				return nothing();
			},
		},
	];
}

/** @returns the administrator's account, or null for the console, which acts for the owner. */
export function administrator(context: RequestContext): string | null {
	return context.identity?.kind === "operator" ? null : adminOf(context).userId;
}

function joinOf(join: JoinDeps | null): JoinDeps {
	if (join === null)
		throw accountsError("no_authority", "This hub has no CA of its own, so no machine can join through it.", {
			fix: "Let machines join through a hub that has one: warren up on the first machine, or warren hub without certificates of its own.",
		});
	return join;
}

function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
	return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
