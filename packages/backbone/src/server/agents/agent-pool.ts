import type { Duplex } from "node:stream";
import { type Closeable, closeCodes } from "@warren/kernel";
import { TunnelLink } from "../../tunnel/link.ts";
import { WindowBudget } from "../../tunnel/window-budget.ts";
import { Agent } from "./agent.ts";
import { agentLimits } from "./agent-limits.ts";
import { ServiceAgents } from "./service-agents.ts";

/** Every agent of this node, by service. */
export class AgentPool implements Closeable {
	readonly #services = new Map<string, ServiceAgents>();
	readonly #now: () => number;
	readonly #windows = WindowBudget.ofProcess();
	readonly #changed: (service: string, agent: Agent, gone: boolean) => void;

	constructor(now: () => number, changed: (service: string, agent: Agent, gone: boolean) => void) {
		this.#now = now;
		this.#changed = changed;
	}

	of(service: string): ServiceAgents {
		let found = this.#services.get(service);
		if (found === undefined) {
			found = new ServiceAgents(service, this.#now, this.#windows, (agent, gone) =>
				this.#changed(service, agent, gone),
			);
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
		channel: Duplex,
		facts: { id: string; name: string; address: string; transport: string; tokenId: string; at: number },
	): { readonly link: TunnelLink; readonly agent: Agent } | null {
		const agents = this.of(service);
		// An agent ends with its token: whoever comes with another one is another agent, whatever it calls itself.
		let agent = agents.agents.find((each) => each.id === facts.id && each.tokenId === facts.tokenId && !each.draining);
		if (agent === undefined) {
			if (agents.agents.length >= agentLimits.maxAgentsPerService) return null;
			if (facts.name !== "") this.replace(service, facts.name, facts.id);
			agent = new Agent(agents, { ...facts, connectedAt: facts.at });
			agents.add(agent);
		}
		if (agent.links.size >= agentLimits.maxLinksPerAgent) return null;
		if (facts.transport !== "shared") return { link: new TunnelLink(channel, agent, this.#now), agent };
		const link = agent.share(channel);
		return link === null ? null : { link, agent };
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
