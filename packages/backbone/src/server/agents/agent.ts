import { FrameType, ResetCode } from "../../protocol/frames.ts";
import type { LinkOwner, StreamUser, TunnelLink } from "../../tunnel/link.ts";
import { agentLimits } from "./agent-limits.ts";
import type { ServiceAgents } from "./service-agents.ts";

/** One agent process, by what it called itself; its links carry the service's traffic. */
export interface AgentStatus {
	readonly id: string;
	readonly name: string;
	readonly address: string;
	readonly transport: string;
	readonly connectedAt: number;
	readonly links: number;
	readonly busy: number;
	readonly healthy: boolean;
}

/** A link in somebody's hands. */
export interface Lease {
	readonly link: TunnelLink;
	readonly agent: Agent;
	/** The stream to the target stands already (HTTP): it may end at any moment. */
	readonly warm: boolean;
}

/** Watches an HTTP connection to a target that nobody uses. */
class WarmUser implements StreamUser {
	readonly link: TunnelLink;
	readonly agent: Agent;
	readonly since: number;

	constructor(link: TunnelLink, agent: Agent, since: number) {
		this.link = link;
		this.agent = agent;
		this.since = since;
	}

	onData(): void {
		// Bytes that nobody asked for: whatever they answer, it is not the next request.
		this.agent.removeWarm(this.link);
		this.link.reset(ResetCode.protocol, "bytes that no request asked for");
	}
	onEnd(): void {
		this.agent.removeWarm(this.link);
		this.link.end();
	}
	onBroken(): void {
		this.agent.removeWarm(this.link);
	}
	onDrain(): void {}
}

export class Agent implements LinkOwner {
	/** Behind another node of the cluster: its links are hops. */
	readonly isPeer: boolean = false;
	readonly id: string;
	readonly name: string;
	readonly address: string;
	readonly transport: string;
	readonly connectedAt: number;
	readonly tokenId: string;
	readonly links = new Set<TunnelLink>();
	/** Idle links, the most recently used last. */
	readonly #parked: TunnelLink[] = [];
	/** Links whose HTTP connection to the target stands and is unused. */
	readonly #warm: TunnelLink[] = [];
	readonly #service: ServiceAgents;
	/** Links asked for that have not come. */
	wanted = 0;
	draining = false;
	/** Streams that the target refused, in a row. */
	refusals = 0;

	constructor(
		service: ServiceAgents,
		facts: { id: string; name: string; address: string; transport: string; tokenId: string; connectedAt: number },
	) {
		this.#service = service;
		this.id = facts.id;
		this.name = facts.name;
		this.address = facts.address;
		this.transport = facts.transport;
		this.tokenId = facts.tokenId;
		this.connectedAt = facts.connectedAt;
	}

	get busy(): number {
		return this.links.size - this.#parked.length - this.#warm.length;
	}

	/** Something answers behind it, as far as its last streams tell. */
	get healthy(): boolean {
		return !this.draining && this.refusals < 3;
	}

	add(link: TunnelLink): void {
		this.links.add(link);
		if (this.wanted > 0) this.wanted -= 1;
		this.#parked.push(link);
		this.#service.served(this);
	}

	/** A link for HTTP: one whose connection stands, else an idle one. */
	takeHttp(): Lease | null {
		const warm = this.#warm.pop();
		if (warm !== undefined) return { link: warm, agent: this, warm: true };
		return this.take();
	}

	take(): Lease | null {
		for (;;) {
			const link = this.#parked.pop();
			if (link === undefined) return null;
			if (link.isIdle && !link.retiring) return { link, agent: this, warm: false };
		}
	}

	/** Gives an HTTP connection back whose last answer is complete. */
	park(link: TunnelLink): void {
		if (!link.isOpen) return;
		if (link.retiring || this.draining) {
			link.user = null;
			link.reset(ResetCode.cancelled, "draining");
			return;
		}
		link.user = new WarmUser(link, this, this.#service.now());
		this.#warm.push(link);
		this.#service.served(this);
	}

	removeWarm(link: TunnelLink): void {
		const at = this.#warm.indexOf(link);
		if (at !== -1) this.#warm.splice(at, 1);
	}

	onIdle(link: TunnelLink): void {
		if (link.retiring) return link.close("retired");
		this.#parked.push(link);
		this.#service.served(this);
	}

	onControl(link: TunnelLink, type: number): void {
		if (type === FrameType.goAway) {
			// The agent leaves: nothing new on this link.
			const at = this.#parked.indexOf(link);
			if (at !== -1) this.#parked.splice(at, 1);
			if (link.isIdle) link.close("the agent is leaving");
			else if (link.user instanceof WarmUser) {
				this.removeWarm(link);
				link.reset(ResetCode.cancelled, "the agent is leaving");
			}
			return;
		}
		link.close(`frame 0x${type.toString(16)} from an agent`);
	}

	onClosed(link: TunnelLink): void {
		this.links.delete(link);
		const at = this.#parked.indexOf(link);
		if (at !== -1) this.#parked.splice(at, 1);
		this.removeWarm(link);
		if (this.links.size === 0) this.emptied();
	}

	/** Its last link is gone. */
	protected emptied(): void {
		this.#service.remove(this);
	}

	/** Asks for more links. */
	want(count: number): void {
		const room = agentLimits.maxLinksPerAgent - this.links.size - this.wanted;
		const asked = Math.min(count, room, 0xffff);
		const [link] = this.links;
		if (asked <= 0 || link === undefined) return;
		this.wanted += asked;
		const payload = Buffer.alloc(2);
		payload.writeUInt16BE(asked);
		link.control(FrameType.want, payload);
	}

	/** No new stream from now on; `code` says whether to come back. */
	goAway(code: number, reason: string): void {
		this.draining = true;
		for (const link of [...this.links]) {
			link.goAway(code, reason);
			if (this.#warm.includes(link)) {
				this.removeWarm(link);
				link.reset(ResetCode.cancelled, "draining");
			}
		}
		this.#parked.length = 0;
	}

	close(reason: string): void {
		for (const link of [...this.links]) link.close(reason);
	}

	/** Pings what is silent, cuts what did not answer, gives up warm connections. @param now as `TunnelLink.heardAt`. */
	sweep(now: number): void {
		while (this.#warm.length > 0) {
			const link = this.#warm[0] as TunnelLink;
			if (now - (link.user as WarmUser).since < agentLimits.warmIdleMs) break;
			this.#warm.shift();
			link.reset(ResetCode.cancelled, "idle");
		}
		for (const link of this.links) {
			if (link.pingedAt !== 0) {
				if (link.heardAt > link.pingedAt) link.pingedAt = 0;
				else if (now - link.pingedAt > agentLimits.pongMs && !link.channel.isPaused()) {
					link.close(`no answer to a ping within ${agentLimits.pongMs} ms`);
					// What cut this one has most likely cut the others.
					for (const other of this.links) if (!other.channel.isPaused()) other.ping();
				}
			} else if (
				now - link.heardAt > (link.isIdle ? agentLimits.pingMs : agentLimits.pongMs) &&
				!link.channel.isPaused()
			)
				link.ping();
		}
		this.wanted = 0;
	}

	status(): AgentStatus {
		return {
			id: this.id,
			name: this.name,
			address: this.address,
			transport: this.transport,
			connectedAt: this.connectedAt,
			links: this.links.size,
			busy: this.busy,
			healthy: this.healthy,
		};
	}
}
