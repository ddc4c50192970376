import { type Closeable, closeCodes } from "@warren/kernel";
import { FrameType, ResetCode } from "../protocol/frames.ts";
import { type LinkOwner, type StreamUser, TunnelLink } from "../tunnel/link.ts";

export const agentLimits = {
	/** Links of one agent. */
	maxLinksPerAgent: 16_384,
	maxAgentsPerService: 64,
	/** Requests that wait for a link of one service; more are answered 503 at once. */
	maxWaiting: 4096,
	/** How long one waits. */
	waitMs: 5_000,
	/** HTTP connections to a target that nobody uses are given up after this: servers commonly close theirs at 5 s. */
	warmIdleMs: 4_000,
	/** An idle link is pinged this often, and one that works in silence after this. */
	pingMs: 15_000,
	/** A pong must come by then. */
	pongMs: 5_000,
	/** Beyond this many bytes that nobody takes, a paused link is not pinged: it is slow, not dead. */
	spareLinks: 8,
} as const;

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

/** Whoever waits for a link. `null` = none came in time. */
type Waiter = {
	readonly http: boolean;
	/** A link of this node's own agents: whoever came over a hop goes no further. */
	readonly local: boolean;
	readonly taken: (lease: Lease | null) => void;
	readonly deadline: number;
	gone: boolean;
};

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

/** The agents of one service, balanced: the least busy of those that work, in turn among equals. */
export class ServiceAgents {
	readonly service: string;
	readonly agents: Agent[] = [];
	readonly now: () => number;
	#turn = 0;
	readonly #waiting: Waiter[] = [];
	readonly #changed: (agent: Agent, gone: boolean) => void;

	constructor(service: string, now: () => number, changed: (agent: Agent, gone: boolean) => void) {
		this.service = service;
		this.now = now;
		this.#changed = changed;
	}

	get live(): boolean {
		return this.agents.some((agent) => !agent.draining);
	}

	/** Agents that hang here, not at another node. */
	get own(): Agent[] {
		return this.agents.filter((agent) => !agent.isPeer);
	}

	add(agent: Agent): void {
		this.agents.push(agent);
		this.#changed(agent, false);
	}

	remove(agent: Agent): void {
		const at = this.agents.indexOf(agent);
		if (at === -1) return;
		this.agents.splice(at, 1);
		this.#changed(agent, true);
		if (this.agents.length === 0) for (const waiter of this.#waiting.splice(0)) if (!waiter.gone) waiter.taken(null);
	}

	/** @param avoid an agent that just failed this very request. */
	take(http: boolean, avoid: Agent | null = null, local = false): Lease | null {
		const agents = local ? this.own : this.agents;
		const count = agents.length;
		if (count === 1) {
			const only = agents[0] as Agent;
			return only.draining ? null : http ? only.takeHttp() : only.take();
		}
		const start = this.#turn++;
		const order: Agent[] = [];
		for (let each = 0; each < count; each++) {
			const agent = agents[(start + each) % count] as Agent;
			if (!agent.draining) order.push(agent);
		}
		order.sort((a, b) => rank(a, avoid) - rank(b, avoid));
		for (const agent of order) {
			const lease = http ? agent.takeHttp() : agent.take();
			if (lease !== null) return lease;
		}
		return null;
	}

	/** Waits for a link. @returns how to give up waiting, or null when nobody may wait: no agent, or too many already. */
	wait(http: boolean, taken: (lease: Lease | null) => void, local = false): (() => void) | null {
		const agent = (local ? this.own : this.agents)
			.filter((each) => !each.draining)
			.sort((a, b) => rank(a, null) + a.wanted - rank(b, null) - b.wanted)[0];
		if (agent === undefined || this.#waiting.length >= agentLimits.maxWaiting) return null;
		const waiter: Waiter = { http, local, taken, deadline: this.now() + agentLimits.waitMs, gone: false };
		this.#waiting.push(waiter);
		if (agent.wanted < this.#waiting.length) agent.want(Math.max(1, this.#waiting.length - agent.wanted));
		return () => {
			waiter.gone = true;
		};
	}

	/** A link of this agent is free. */
	served(agent: Agent): void {
		let at = 0;
		while (at < this.#waiting.length) {
			const waiter = this.#waiting[at] as Waiter;
			if (waiter.gone) {
				this.#waiting.splice(at, 1);
				continue;
			}
			if (waiter.local && agent.isPeer) {
				at += 1;
				continue;
			}
			const lease = agent.draining ? null : waiter.http ? agent.takeHttp() : agent.take();
			if (lease === null) return;
			this.#waiting.splice(at, 1);
			waiter.taken(lease);
		}
	}

	/** One that was asked has nothing: whoever else is there is asked. */
	askAll(): void {
		if (this.#waiting.length > 0)
			for (const agent of this.agents) if (!agent.draining) agent.want(this.#waiting.length);
	}

	sweep(now: number): void {
		for (const agent of [...this.agents]) agent.sweep(now);
		while (this.#waiting.length > 0) {
			const waiter = this.#waiting[0] as Waiter;
			if (!waiter.gone && waiter.deadline > now) break;
			this.#waiting.shift();
			if (!waiter.gone) waiter.taken(null);
		}
		this.askAll();
	}
}

/** Own agents before those behind a hop. */
function rank(agent: Agent, avoid: Agent | null): number {
	return (
		agent.busy + (agent.isPeer ? 100_000 : 0) + (agent.healthy ? 0 : 1_000_000) + (agent === avoid ? 2_000_000 : 0)
	);
}

/** Every agent of this node, by service. */
export class AgentPool implements Closeable {
	readonly #services = new Map<string, ServiceAgents>();
	readonly #now: () => number;
	readonly #changed: (service: string, agent: Agent, gone: boolean) => void;

	constructor(now: () => number, changed: (service: string, agent: Agent, gone: boolean) => void) {
		this.#now = now;
		this.#changed = changed;
	}

	of(service: string): ServiceAgents {
		let found = this.#services.get(service);
		if (found === undefined) {
			found = new ServiceAgents(service, this.#now, (agent, gone) => this.#changed(service, agent, gone));
			this.#services.set(service, found);
		}
		return found;
	}

	services(): IterableIterator<ServiceAgents> {
		return this.#services.values();
	}

	/** Takes a link in for an agent; a newer process of the same name replaces the older one. @returns null when there is no room. */
	attach(
		service: string,
		channel: ConstructorParameters<typeof TunnelLink>[0],
		facts: { id: string; name: string; address: string; transport: string; tokenId: string; at: number },
	): { readonly link: TunnelLink; readonly agent: Agent } | null {
		const agents = this.of(service);
		let agent = agents.agents.find((each) => each.id === facts.id && !each.draining);
		if (agent === undefined) {
			if (agents.agents.length >= agentLimits.maxAgentsPerService) return null;
			if (facts.name !== "") this.replace(service, facts.name, facts.id);
			agent = new Agent(agents, { ...facts, connectedAt: facts.at });
			agents.add(agent);
		}
		if (agent.links.size >= agentLimits.maxLinksPerAgent) return null;
		return { link: new TunnelLink(channel, agent, this.#now), agent };
	}

	/** The newer process of a name takes over from the older ones. @param id the newer one's. */
	replace(service: string, name: string, id: string): void {
		for (const older of this.of(service).agents)
			if (older.name === name && older.id !== id && !older.draining)
				older.goAway(closeCodes.replaced, `another agent named "${name}" has taken over`);
	}

	/** Cuts agents whose token is gone. */
	disconnect(matches: (service: string, agent: Agent) => boolean, code: number, reason: string): number {
		let count = 0;
		for (const [service, agents] of this.#services)
			for (const agent of [...agents.agents])
				if (matches(service, agent)) {
					count += 1;
					agent.goAway(code, reason);
					agent.close(reason);
				}
		return count;
	}

	goAway(code: number, reason: string): void {
		for (const { agents } of this.#services.values()) for (const agent of [...agents]) agent.goAway(code, reason);
	}

	sweep(now: number): void {
		for (const service of this.#services.values()) service.sweep(now);
	}

	close(): void {
		for (const { agents } of this.#services.values())
			for (const agent of [...agents]) agent.close("the server is stopping");
	}
}
