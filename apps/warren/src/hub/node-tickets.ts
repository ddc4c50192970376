import { Enrolled, type TicketPayload, type TicketVerdict, ticketRoutes } from "@warren/accounts";
import { messageOf } from "@warren/kernel";
import type { Route } from "@warren/net";
import type { NodeBase } from "../node/role-part.ts";

/** Device tickets at this node: whoever the hub once vouched for enrols here, also with the hub away. */
export class NodeTickets {
	readonly #base: NodeBase;
	readonly #enrolled: Enrolled;

	constructor(base: NodeBase) {
		this.#base = base;
		this.#enrolled = new Enrolled(base.db);
	}

	routes(verify: (ticket: string) => TicketVerdict | Promise<TicketVerdict>): Route[] {
		const { access, clock, random, audit, nodeId } = this.#base;
		return ticketRoutes({
			node: nodeId,
			clock,
			random,
			audit,
			verify,
			enrol: (payload, name) => this.#enrol(payload, name, access),
			withdraw: (ticketId) => this.#end([ticketId]),
		});
	}

	/** Signs out what revoked tickets had enrolled; their sockets close with it. */
	end(ticketIds: readonly string[]): void {
		this.#end(ticketIds).catch((fault: unknown) =>
			this.#base.logger.error("revoked devices could not be signed out", { fault: messageOf(fault) }),
		);
	}

	#end(ticketIds: readonly string[]): Promise<void> {
		const { devices } = this.#base.access;
		return this.#enrolled.end(ticketIds, async (id) => {
			if (devices.list().some((device) => device.id === id)) await devices.revoke(id);
		});
	}

	async #enrol(payload: TicketPayload, name: string, access: NodeBase["access"]): Promise<unknown> {
		const enrolled = await access.devices.enrol(name);
		await this.#enrolled.add(payload, enrolled.device.id);
		return enrolled;
	}
}
