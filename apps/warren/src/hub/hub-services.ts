import {
	type Accounts,
	type AccountsTables,
	isRevoked,
	openAccounts,
	type SetupSecret,
	type SocialProviders,
} from "@warren/accounts";
import { type AiTables, openAi, UpstreamPools } from "@warren/ai";
import { closeCodes, newSecret } from "@warren/kernel";
import type { Authority, Listener, Route } from "@warren/net";
import { workspaceTools } from "@warren/sidecar";
import { type AuditTable, openSqliteTables, type SqliteTables, whileAlone } from "@warren/store";
import { type SyncTables, syncRoutes } from "@warren/sync";
import { type AiConfig, keyFileName } from "../config/ai-config.ts";
import { hubPages } from "../pages/hub-pages.ts";
import type { RoleBase } from "../role-base.ts";
import { syncDocumentHost } from "../sidecar/document-host.ts";
import type { SidecarDocuments } from "../sidecar/sidecar-listener.ts";
import { workspacesOver } from "../sidecar/workspaces.ts";
import { type ClusterTables, hubSchemas } from "./cluster.ts";
import { openDocuments } from "./hub-documents.ts";
import { MachineClaims } from "./machine-claims.ts";
import { SessionWatch } from "./session-watch.ts";

export type HubTables = AccountsTables & SyncTables & AiTables & AuditTable;

/** How this hub is reached, and what it certifies with. */
export interface HubFacts {
	/** Null: no machine can join through this hub. */
	readonly authority: Authority | null;
	/** This machine's, for people. */
	readonly name: string;
	/** SHA-256 of the certificate that new devices shall find here. */
	readonly fingerprint: () => string | null;
	/** Best first, port included; the last one is its own, without a proxy. */
	readonly urls: readonly string[];
	/** Names and addresses, as other machines dial it at this moment. */
	readonly hosts: () => readonly string[];
	readonly port: number;
	/** Cookies know no port: two installations on one host must not overwrite each other's. */
	readonly installId: string;
	readonly setup: SetupSecret;
	/** Whether its own origin serves workspaces too. */
	readonly workspaces: boolean;
	readonly ai: AiConfig;
	readonly social: SocialProviders;
}

export interface HubServices {
	readonly accounts: Accounts;
	readonly documents: SidecarDocuments;
	readonly routes: readonly Route[];
	/** Once the listener is open: what is revoked is cut there. */
	readonly listening: (listener: Listener) => void;
	readonly drain: () => Promise<void>;
}

/** A hub's tables: accounts, machines, documents, what AI was used. */
export function openHubTables({
	data,
	lifetime,
}: Pick<RoleBase, "data" | "lifetime">): Promise<SqliteTables<HubTables>> {
	return openSqliteTables<HubTables>(data.file("hub.db"), hubSchemas).then((tables) => lifetime.own(tables));
}

/** Accounts of people, joining machines, documents, discovery and AI: the same alone and beside a node. */
export async function openHubServices(
	base: RoleBase,
	tables: SqliteTables<HubTables> | ClusterTables,
	facts: HubFacts,
): Promise<HubServices> {
	const { clock, random, logger, audit, lifetime } = base;
	const { authority } = facts;
	const cluster = "cluster" in tables ? tables.cluster : null;
	const alone = <T>(work: () => Promise<T>) => (cluster === null ? work() : whileAlone(tables, clock, work));
	const accounts = lifetime.own(
		await alone(() =>
			openAccounts(
				{
					...{ db: tables.db, clock, random, logger, audit, setup: facts.setup },
					// The CA's where there is one: it is the same at each machine of the warren, and the one that /trust shows.
					fingerprint: () => authority?.fingerprint ?? facts.fingerprint(),
					...(cluster === null ? {} : { bus: cluster.bus }),
					...(authority === null
						? {}
						: {
								join: {
									ca: authority.certPem,
									issueLeaf: ({ csr, ...leaf }) => authority.issueForCsr(csr, leaf),
								},
							}),
				},
				{
					baseUrls: facts.urls,
					trustedOrigins: () => facts.hosts().map((host) => originOf(facts, host)),
					secret: hubSecret(base),
					cookieName: `warren-${facts.installId.slice(0, 8)}`,
					social: facts.social,
				},
			),
		),
	);
	const claims = lifetime.own(await MachineClaims.open(accounts.machines));
	const documents = openDocuments(base, tables, { claimOf: claims.claimOf });
	const ai = lifetime.own(
		await openAi(
			{
				...{ db: tables.db as never, clock, random, logger, audit, upstream: new UpstreamPools() },
				tools: (who) =>
					workspaceTools({ documents: syncDocumentHost({ ...documents, clock, random }), clock, random }, who),
			},
			{ ...facts.ai, keyFile: base.data.file(keyFileName), owner: "hub" },
		),
	);
	const options = { owner: "hub", credentials: ["session"] } as const;
	const api = [
		...accounts.routes(),
		...ai.routes(),
		...syncRoutes({ ...documents, audit }, options),
		...(facts.workspaces ? workspacesOver(documents, { clock, random }, options) : []),
	];
	return {
		accounts,
		documents,
		routes: [...api, ...hubPages(api, { health: base.health, name: facts.name, fingerprint: facts.fingerprint })],
		listening: (listener) => {
			lifetime.own(
				accounts.onRevoked((revoked) => {
					listener.disconnect((who) => isRevoked(revoked, who), closeCodes.signIn, "signed out");
				}),
			);
			if (cluster !== null) lifetime.own(new SessionWatch(accounts, listener, cluster.bus, { clock, logger }));
		},
		drain: () => documents.relay.close(),
	};
}

/** Made with the hub's data: cookies, two-factor secrets and tickets depend on it. */
function hubSecret({ data, random }: RoleBase): string {
	const kept = data.read("hub.secret");
	if (kept !== null) return kept.trim();
	const made = newSecret(random);
	data.write(`${made}\n`, "hub.secret");
	return made;
}

function originOf(facts: HubFacts, host: string): string {
	const { protocol } = new URL(facts.urls.at(-1) as string);
	return `${protocol}//${host.includes(":") ? `[${host}]` : host}:${facts.port}`;
}
