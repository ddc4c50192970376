import { type AccountsTables, accountsSchema, isRevoked, openAccounts, verifyTicket } from "@warren/accounts";
import { type AiTables, aiSchema } from "@warren/ai";
import { closeCodes, newSecret } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import { type SyncTables, syncLogSchema, syncRoutes, syncSchema } from "@warren/sync";
import type { NodeBase, OpenPart, RolePart } from "../node/role-part.ts";
import { openSidecar } from "../sidecar/sidecar-listener.ts";
import { version } from "../version.ts";
import { openHubAi } from "./hub-ai.ts";
import { openDocuments } from "./hub-documents.ts";
import { NodeTickets } from "./node-tickets.ts";

/** Accounts of people, joining machines and device tickets, beside the node that this hub runs on. */
export const openHubPart: OpenPart = async (base, config): Promise<RolePart> => {
	const { clock, random, logger, audit, data, lifetime, authority } = base;
	const tables = lifetime.own(
		await openSqliteTables<AccountsTables & SyncTables & AiTables>(data.file("hub.db"), [
			accountsSchema,
			syncSchema,
			syncLogSchema,
			aiSchema,
		]),
	);
	const { db } = tables;
	const accounts = lifetime.own(
		await openAccounts(
			{
				db,
				clock,
				random,
				logger,
				audit,
				setup: base.hubSetup,
				fingerprint: () => authority?.fingerprint ?? null,
				...(authority === null
					? {}
					: {
							join: {
								ca: authority.certPem,
								issueLeaf: ({ csr, name, hosts }) => authority.issueForCsr(csr, { name, hosts }),
							},
						}),
			},
			{
				baseUrls: base.urls,
				trustedOrigins: () => base.hosts.map((host) => originOf(base, host)),
				secret: hubSecret(base),
				// Cookies know no port: two installations on one host must not overwrite each other's.
				cookieName: `warren-${base.nodeId.slice(0, 8)}`,
			},
		),
	);
	await accounts.registerHub(base.nodeId, { name: config.name, hosts: base.hosts, port: base.port, version });
	lifetime.own(accounts.machines.watch(() => base.feed.publish({ type: "peers" })));
	const documents = openDocuments(base, tables);
	// The hub is on this very machine: its windows get the hub's own documents, on the sidecar's address.
	await openSidecar(base, config.sidecarPort, accounts.authenticator, documents);
	const ai = lifetime.own(await openHubAi(base, config, tables));
	const tickets = new NodeTickets(base);
	return {
		name: "hub",
		routes: [
			...accounts.routes(),
			...syncRoutes({ ...documents, audit }, { owner: "hub", credentials: ["session"] }),
			...ai.routes(),
			...tickets.routes(async (ticket) =>
				verifyTicket(ticket, [accounts.ticketKey], await accounts.revokedTickets(), clock.now(), base.nodeId),
			),
		],
		authenticators: [accounts.authenticator],
		peerSources: [accounts.machines],
		cookieName: accounts.sessionCookieName,
		listening: (listener) => {
			const watch = accounts.onRevoked((revoked) => {
				void accounts.revokedTickets().then((ids) => tickets.end([...ids]));
				listener.disconnect((who) => isRevoked(revoked, who), closeCodes.signIn, "signed out");
			});
			lifetime.own(watch);
		},
	};
};

/** Made with the hub's data: cookies, two-factor secrets and tickets depend on it. */
function hubSecret({ data, random }: NodeBase): string {
	const kept = data.read("hub.secret");
	if (kept !== null) return kept.trim();
	const made = newSecret(random);
	data.write(`${made}\n`, "hub.secret");
	return made;
}

function originOf(base: NodeBase, host: string): string {
	const { protocol } = new URL(base.urls[0] as string);
	return `${protocol}//${host.includes(":") ? `[${host}]` : host}:${base.port}`;
}
