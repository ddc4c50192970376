import {
	HubLink,
	SessionClient,
	SessionMemory,
	type SessionMemoryTables,
	sessionMemorySchema,
	verifyTicket,
} from "@warren/accounts";
import { openSqliteTables } from "@warren/store";
import { type SyncTables, syncLogSchema, syncSchema } from "@warren/sync";
import type { OpenPart, RolePart } from "../node/role-part.ts";
import { SidecarSync } from "../sidecar/hub-sync.ts";
import { openSidecar } from "../sidecar/sidecar-listener.ts";
import { version } from "../version.ts";
import { openDocuments } from "./hub-documents.ts";
import { HubForward } from "./hub-forward.ts";
import type { Membership } from "./membership.ts";
import { NodeTickets } from "./node-tickets.ts";

/** What a joined machine has of its hub: the hub's paths on its own origin, the other machines, device tickets. */
export function openMemberPart(membership: Membership): OpenPart {
	return async (base, config): Promise<RolePart> => {
		const { clock, random, logger, health, lifetime, nodeId } = base;
		const { hubUrl, ca, nodeToken, ticketKey, ownerId } = membership;
		const link = lifetime.own(
			HubLink.open(
				{ clock, random, logger, health },
				{
					...{ hubUrl, ca, nodeId, nodeToken },
					ticketKeys: [ticketKey],
					file: base.data.file("hub-link.json"),
					self: () => ({ name: config.name, hosts: base.hosts, port: base.port, version }),
				},
			),
		);
		link.onMachines(() => base.feed.publish({ type: "peers" }));
		const tickets = new NodeTickets(base);
		link.onRevoked((ticketIds) => tickets.end(ticketIds));
		const tables = lifetime.own(
			await openSqliteTables<SyncTables & SessionMemoryTables>(base.data.file("sidecar.db"), [
				syncSchema,
				syncLogSchema,
				sessionMemorySchema,
			]),
		);
		const documents = openDocuments(base, tables);
		const sessions = new SessionClient(link.askSession, clock, new SessionMemory(tables.db, clock));
		const sync = lifetime.own(new SidecarSync(base, { hubUrl, ca }, sessions, documents));
		await openSidecar(base, config.sidecarPort, sync, { ...documents, onVisited: () => sync.refresh() });
		const forward = lifetime.own(new HubForward({ hubUrl: new URL(hubUrl), ca, nodeToken }, clock));
		const verify = (ticket: string) => {
			const verdict = verifyTicket(ticket, [ticketKey], link.revocations, clock.now(), nodeId);
			// Whoever joined this machine gave that consent, and only for themselves.
			if (verdict.ok && verdict.payload.userId !== (link.ownerId || ownerId))
				return { ok: false, reason: "other-node", message: "This machine was not joined by you." } as const;
			return verdict;
		};
		return {
			name: "member",
			routes: [...forward.routes(), ...tickets.routes(verify)],
			authenticators: [],
			peerSources: [link],
		};
	};
}
