import { memberCredentials } from "@warren/access";
import {
	HubLink,
	SessionClient,
	SessionMemory,
	type SessionMemoryTables,
	sessionMemorySchema,
	verifyTicket,
} from "@warren/accounts";
import { auditAs } from "@warren/kernel";
import { fingerprintOfPem, type TlsIdentity } from "@warren/net";
import { agentRoutes } from "@warren/sidecar";
import { openSqliteTables } from "@warren/store";
import { type SyncTables, syncLogSchema, syncRoutes, syncSchema } from "@warren/sync";
import type { OpenPart, RolePart } from "../node/role-part.ts";
import { openCodingAgents } from "../sidecar/coding-agents.ts";
import { SidecarSync } from "../sidecar/hub-sync.ts";
import { openSidecar } from "../sidecar/sidecar-listener.ts";
import { MemberTunnel } from "../tunnel/member-tunnel.ts";
import { version } from "../version.ts";
import { openDocuments } from "./hub-documents.ts";
import { HubForward } from "./hub-forward.ts";
import { LeafRenewal } from "./leaf-renewal.ts";
import { LocalRooms } from "./local-rooms.ts";
import type { Membership } from "./membership.ts";
import { NodeTickets } from "./node-tickets.ts";
import { reachedAt } from "./reached-at.ts";

/** What a joined machine has of its hub: the hub's paths on its own origin, the other machines, device tickets. */
export function openMemberPart(membership: Membership): OpenPart {
	return async (base, config): Promise<RolePart> => {
		const { clock, random, logger, health, audit, lifetime, nodeId } = base;
		const { hubUrl, ca, nodeToken, ticketKey, ownerId } = membership;
		const startedAt = clock.now();
		const link = lifetime.own(
			HubLink.open(
				{ clock, random, logger, health },
				{
					...{ hubUrl, ca, nodeId, nodeToken },
					ticketKeys: [ticketKey],
					file: base.data.file("hub-link.json"),
					self: () => ({ name: config.name, hosts: base.hosts(), port: base.port, version }),
				},
			),
		);
		link.onMachines(() => base.feed.publish({ type: "peers" }));
		const tunnel = lifetime.own(
			MemberTunnel.open(
				{ clock, random, logger, health, data: base.data, onChange: () => base.feed.publish({ type: "health" }) },
				membership,
				{ host: ownListener(config.host), port: base.port },
			),
		);
		const tickets = new NodeTickets(base);
		link.onRevoked((ticketIds) => tickets.end(ticketIds));
		const tables = lifetime.own(
			await openSqliteTables<SyncTables & SessionMemoryTables>(base.data.file("sidecar.db"), [
				syncSchema,
				syncLogSchema,
				sessionMemorySchema,
			]),
		);
		const documents = openDocuments(base, tables, { onListChanged: () => sync.refresh() });
		const sessions = new SessionClient(link.askSession, clock, new SessionMemory(tables.db, clock));
		const sync: SidecarSync = lifetime.own(
			new SidecarSync(
				base,
				{ hubUrl, ca },
				{
					sessions,
					documents,
					self: { deviceId: nodeId, hostname: config.name, url: reachedAt(base) },
					onDevices: () => base.feed.publish({ type: "peers" }),
				},
			),
		);
		const agents = openCodingAgents(base, documents, {
			hub: { url: hubUrl, ca },
			sessions,
			mayRun: (user) => user.userId === (link.ownerId || ownerId),
			command: config.opencode,
		});
		const agentAudit = auditAs(audit, "sidecar");
		const routes = agentRoutes(agents, { owner: "sidecar", credentials: ["session"], audit: agentAudit });
		const place = { port: config.sidecarPort, origins: [...base.urls, hubUrl], routes };
		await openSidecar(base, place, sync, documents);
		const local = lifetime.own(
			new LocalRooms({
				routes: syncRoutes({ ...documents, audit }, { owner: "sidecar", credentials: ["session"] }),
				sessions,
				cookieName: () => link.sessionCookie,
				syncedUser: () => sync.user,
				// Whoever joined this machine: another person's pages must not take its sync away from them.
				onSession: (userId, token) => {
					if (userId === (link.ownerId || ownerId)) sync.signIn({ userId, token });
				},
			}),
		);
		link.onConnected((connected) => {
			if (connected) local.release();
		});
		const options = { hubUrl: new URL(hubUrl), ca, nodeToken, local, hubFails: () => link.failing };
		const forward = lifetime.own(new HubForward(options, clock));
		const verify = (ticket: string) => {
			const verdict = verifyTicket(ticket, [ticketKey], link.revocations, clock.now(), nodeId);
			// Whoever joined this machine gave that consent, and only for themselves.
			if (verdict.ok && verdict.payload.userId !== (link.ownerId || ownerId))
				return { ok: false, reason: "other-node", message: "This machine was not joined by you." } as const;
			return verdict;
		};
		return {
			name: "member",
			routes: [
				...forward.routes(),
				...tickets.routes(verify),
				...agentRoutes(agents, { owner: "sidecar", credentials: memberCredentials, audit: agentAudit }),
			],
			authenticators: [],
			peerSources: [link, sync],
			tunnel,
			roles: () => [{ name: "member", state: "running", since: startedAt }, tunnel.row],
			listening: (listener) => {
				// With certificate files of its own it shows no leaf of ours.
				if (!listener.secure || config.tlsCert !== undefined) return;
				const use = (tls: TlsIdentity) => {
					listener.setCertificate(tls);
					base.shown.fingerprint = fingerprintOfPem(tls.cert);
				};
				const renewal = new LeafRenewal(base, { link, ca, name: config.name, hosts: base.hosts, use });
				lifetime.own(renewal);
				if (link.state === "connected") void renewal.check();
			},
			drain: () => documents.relay.close(),
		};
	};
}

/** Where this machine's own tunnel finds its node. */
function ownListener(host: string | undefined): string {
	if (host === undefined || host === "0.0.0.0") return "127.0.0.1";
	return host === "::" ? "::1" : host;
}
