import { openRevocations, ticketRoutes, verifyTicket } from "@warren/accounts";
import { messageOf } from "@warren/kernel";
import type { OpenPart, RolePart } from "../node/role-part.ts";
import { version } from "../version.ts";
import { HubForward } from "./hub-forward.ts";
import { HubLink, type HubLinkFile } from "./hub-link.ts";

/** What a joined machine has of its hub: the hub's paths on its own origin, the other machines, device tickets. */
export function openLinkPart(file: HubLinkFile): OpenPart {
	return async (base, config): Promise<RolePart> => {
		const { clock, random, audit, lifetime, access, nodeId, health } = base;
		/** Grows only: what was revoked once stays so, whatever list comes later. */
		const revoked = new Set<string>();
		const link = lifetime.own(
			new HubLink(file, {
				clock,
				logger: base.logger,
				data: base.data,
				facts: () => ({ name: config.name, hosts: base.hosts, port: base.port, version }),
				onMachines: () => base.feed.publish({ type: "peers" }),
				onRevocations: async (sealed) => {
					const list = openRevocations(sealed, [file.ticketKey]);
					if (list === null) {
						base.logger.error("the list of revocations is not the hub's", { hub: file.hubUrl });
						return;
					}
					for (const { id } of list.tickets) revoked.add(id);
					await access.devices.revokeTickets(revoked);
				},
			}),
		);
		await link
			.start()
			.catch((fault: unknown) =>
				base.logger.error("the kept revocations cannot be applied", { fault: messageOf(fault) }),
			);
		const forward = lifetime.own(
			new HubForward({ hubUrl: new URL(file.hubUrl), ca: file.ca, nodeToken: file.nodeToken }, health, clock),
		);
		return {
			name: "member",
			routes: [
				...forward.routes(),
				...ticketRoutes({
					node: nodeId,
					clock,
					random,
					audit,
					verify: (ticket) => {
						const verdict = verifyTicket(ticket, [file.ticketKey], revoked, clock.now(), nodeId);
						// Whoever joined this machine gave that consent, and only for themselves.
						if (verdict.ok && file.ownerId !== "" && verdict.payload.userId !== file.ownerId)
							return { ok: false, reason: "other-node", message: "This machine was not joined by you." };
						return verdict;
					},
					enrol: (payload, name) => access.devices.enrol(name, payload.ticketId),
				}),
			],
			authenticators: [],
			peerSources: [link],
		};
	};
}
