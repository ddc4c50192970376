import type { WindowBudget } from "../../tunnel/window-budget.ts";
import type { Agent, Lease } from "./agent.ts";
import { agentLimits } from "./agent-limits.ts";

/** Whoever waits for a link. `null` = none came in time. */
type Waiter = {
	readonly http: boolean;
	/** A link of this node's own agents: whoever came over a hop goes no further. */
	readonly local: boolean;
	readonly taken: (lease: Lease | null) => void;
	readonly deadline: number;
	gone: boolean;
};

/** The agents of one service, balanced: the least busy of those that work, in turn among equals. */
export class ServiceAgents {
	readonly service: string;
	readonly agents: Agent[] = [];
	readonly now: () => number;
	#turn = 0;
	readonly #waiting: Waiter[] = [];
	readonly #changed: (agent: Agent, gone: boolean) => void;

	/** What lanes of all services together may grow by. */
	readonly windows: WindowBudget;

	constructor(
		service: string,
		now: () => number,
		windows: WindowBudget,
		changed: (agent: Agent, gone: boolean) => void,
	) {
		this.service = service;
		this.windows = windows;
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
