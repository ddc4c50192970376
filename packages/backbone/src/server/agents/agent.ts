import type { Duplex } from "node:stream";
import { FrameType, ResetCode } from "../../protocol/frames.ts";
import { type LinkOwner, type StreamUser, TunnelLink } from "../../tunnel/link.ts";
import { SharedConnection } from "../../tunnel/shared-connection.ts";
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

/** Links that are looked through for one on a quiet connection. */
const maxLookedAt = 16;

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
	/** Connections whose lanes are made as they are needed; the first lane of each stands for the connection itself. */
	readonly #shared: SharedConnection[] = [];
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
		return this.links.size - this.#parked.length - this.#warm.length - this.#shared.length;
	}

	/** Something answers behind it, as far as its last streams tell. */
	get healthy(): boolean {
		return !this.draining && this.refusals < 3;
	}

	/** Takes a connection in that carries many links. @returns its own. */
	share(socket: Duplex): TunnelLink | null {
		const owner = {
			onClosed: (gone: SharedConnection) => {
				const at = this.#shared.indexOf(gone);
				if (at !== -1) this.#shared.splice(at, 1);
			},
		};
		const shared = new SharedConnection(socket, owner, this.#service.now, this.#service.windows);
		this.#shared.push(shared);
		return this.#lane(shared);
	}

	#lane(shared: SharedConnection): TunnelLink | null {
		const lane = shared.openLane();
		return lane === null ? null : new TunnelLink(lane, this, this.#service.now);
	}

	add(link: TunnelLink): void {
		this.links.add(link);
		if (this.wanted > 0) this.wanted -= 1;
		if (link.lane === null) this.#parked.push(link);
		this.#service.served(this);
	}

	/** A link for HTTP: one whose connection stands, else an idle one. */
	takeHttp(): Lease | null {
		const warm = this.#pick(this.#warm);
		return warm === null ? this.take() : { link: warm, agent: this, warm: true };
	}

	take(): Lease | null {
		for (;;) {
			const link = this.#pick(this.#parked);
			if (link === null) break;
			if (link.isIdle && !link.retiring) return { link, agent: this, warm: false };
		}
		const shared = this.#quiet() ?? this.#shared.find(({ retiring }) => !retiring);
		if (shared === undefined || this.links.size >= agentLimits.maxLinksPerAgent) return null;
		const link = this.#lane(shared);
		if (link === null) return null;
		this.links.add(link);
		return { link, agent: this, warm: false };
	}

	/** Takes the last one out; of those that share, one beside which nothing large passes, while there is such a connection. */
	#pick(list: TunnelLink[]): TunnelLink | null {
		const last = list.pop();
		if (last === undefined) return null;
		if (last.lane === null || last.lane.shared.bulk === 0 || this.#quiet() === null) return last;
		list.push(last);
		for (let at = list.length - 2; at >= 0 && at >= list.length - maxLookedAt; at--)
			if (list[at]?.lane?.shared.bulk === 0) return list.splice(at, 1)[0] as TunnelLink;
		return null;
	}

	/** A shared connection that nothing large passes over. */
	#quiet(): SharedConnection | null {
		for (const shared of this.#shared) if (shared.bulk === 0 && !shared.retiring) return shared;
		return null;
	}

	/** A link that nobody uses ends; the one of a shared connection with its last lane. */
	#leave(link: TunnelLink, reason: string): void {
		if (link.lane?.number === 0) link.lane.shared.retire();
		else link.finish(reason);
	}

	/** Gives an HTTP connection back whose last answer is complete. */
	park(link: TunnelLink): void {
		if (!link.isOpen) return;
		if (link.retiring || this.draining) {
			link.user = null;
			link.reset(ResetCode.cancelled, "draining");
			return;
		}
		if (link.lane?.shouldGo === true) return link.reset(ResetCode.cancelled, "not needed");
		link.lane?.rest();
		link.user = new WarmUser(link, this, this.#service.now());
		this.#warm.push(link);
		this.#service.served(this);
	}

	removeWarm(link: TunnelLink): void {
		const at = this.#warm.indexOf(link);
		if (at !== -1) this.#warm.splice(at, 1);
	}

	onIdle(link: TunnelLink): void {
		if (link.retiring) return this.#leave(link, "retired");
		if (link.lane !== null) {
			link.lane.rest();
			if (this.#parked.length >= agentLimits.parkedLanes || link.lane.shouldGo) return link.finish("not needed");
		}
		this.#parked.push(link);
		this.#service.served(this);
	}

	onControl(link: TunnelLink, type: number): void {
		if (type === FrameType.goAway) {
			// The agent leaves: nothing new on this link, nor on its connection.
			if (link.lane !== null) link.lane.shared.retire();
			const at = this.#parked.indexOf(link);
			if (at !== -1) this.#parked.splice(at, 1);
			if (link.isIdle) this.#leave(link, "the agent is leaving");
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
		if (this.#shared.length > 0) return;
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
		// The agent ends them, once it has read that.
		for (const shared of this.#shared) shared.retiring = true;
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
		this.#giveUpWide(now);
		for (const shared of this.#shared) shared.beat();
		for (const link of this.links) {
			link.lane?.beat();
			link.tellAlive();
			if (link.pingedAt !== 0) {
				if (link.heardAt > link.pingedAt) link.pingedAt = 0;
				else if (now - link.pingedAt > agentLimits.pongMs && !link.channel.isPaused()) {
					link.close(`no answer to a ping within ${agentLimits.pongMs} ms`);
					// What cut this one has most likely cut the others.
					for (const other of this.links) if (!other.channel.isPaused()) other.ping();
				}
			} else if (
				// Of a connection that nobody uses its own link alone is asked.
				!(link.lane !== null && link.lane.number !== 0 && link.isIdle) &&
				now - link.heardAt > (link.isIdle ? agentLimits.pingMs : agentLimits.pongMs) &&
				!link.channel.isPaused()
			)
				link.ping();
		}
		this.wanted = 0;
	}

	#giveUpWide(now: number): void {
		for (const link of [...this.#warm])
			if (link.lane?.shouldGo === true && now - (link.user as WarmUser).since >= agentLimits.wideIdleMs) {
				this.removeWarm(link);
				link.reset(ResetCode.cancelled, "not needed");
			}
		for (const link of this.#parked.filter(({ lane }) => lane?.shouldGo === true)) {
			this.#parked.splice(this.#parked.indexOf(link), 1);
			link.finish("not needed");
		}
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
