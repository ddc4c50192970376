import type { Clock, Logger } from "@warren/kernel";
import { Agent } from "../server/agents/agent.ts";
import { agentLimits } from "../server/agents/agent-limits.ts";
import type { AgentPool } from "../server/agents/agent-pool.ts";
import type { ServiceAgents } from "../server/agents/service-agents.ts";
import { TunnelLink } from "../tunnel/link.ts";
import type { HopDialler } from "./hop-dialler.ts";
import type { NodeLease } from "./node-lease.ts";
import type { Registry } from "./registry.ts";

/** A node that could not be reached is asked after the others for this long, one without the agent not at all. */
const suspectMs = 1_000;
const maxDialling = 64;

/** All agents that one service has at another node, as one agent whose links are hops. */
class PeerAgent extends Agent {
	override readonly isPeer: boolean = true;
	readonly lease: NodeLease;
	readonly #dialler: HopDialler;
	readonly #agents: ServiceAgents;
	readonly #logger: Logger;
	/** The node has no such agent now, whatever the registry says. */
	readonly #onGone: () => void;
	#dialling = 0;
	#suspectUntil = 0;

	constructor(agents: ServiceAgents, lease: NodeLease, dialler: HopDialler, logger: Logger, onGone: () => void) {
		super(agents, {
			id: `~${lease.node}.${lease.epoch}`,
			name: "",
			address: lease.url ?? "",
			transport: "hop",
			tokenId: "",
			connectedAt: lease.startedAt,
		});
		this.lease = lease;
		this.#agents = agents;
		this.#dialler = dialler;
		this.#logger = logger;
		this.#onGone = onGone;
	}

	override get healthy(): boolean {
		return super.healthy && this.#agents.now() >= this.#suspectUntil;
	}

	/** Stays while its route stands, with or without a link. */
	protected override emptied(): void {
		if (this.draining) super.emptied();
	}

	override want(count: number): void {
		const room = Math.min(maxDialling, agentLimits.maxLinksPerAgent - this.links.size) - this.#dialling;
		const asked = Math.min(count - this.#dialling, room);
		for (let each = 0; each < asked; each++) {
			this.#dialling += 1;
			void this.#dial().finally(() => {
				this.#dialling -= 1;
			});
		}
	}

	/** The route is gone: what runs goes on. */
	withdraw(): void {
		this.draining = true;
		for (const link of [...this.links]) if (link.isIdle) link.close("the route is gone");
		if (this.links.size === 0) super.emptied();
	}

	async #dial(): Promise<void> {
		const hop = await this.#dialler.dial(this.lease, this.#agents.service);
		if (hop.ok) {
			if (this.draining) return void hop.channel.destroy();
			this.#suspectUntil = 0;
			const link = new TunnelLink(hop.channel, this, this.#agents.now);
			hop.channel.resume();
			return this.add(link);
		}
		if (this.draining) return;
		this.#logger.warn("a hop failed", { service: this.#agents.service, fault: hop.message });
		if (hop.gone) {
			this.withdraw();
			return this.#onGone();
		}
		this.#suspectUntil = this.#agents.now() + suspectMs;
		for (const other of this.#agents.agents)
			if (other !== this && other.healthy) {
				this.#agents.askAll();
				return;
			}
	}
}

/** Keeps the pool's agents behind other nodes in step with the registry's routes. */
export class PeerAgents {
	readonly #pool: AgentPool;
	readonly #registry: Registry;
	readonly #dialler: HopDialler;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #peers = new Map<string, PeerAgent>();

	constructor(deps: { pool: AgentPool; registry: Registry; dialler: HopDialler; clock: Clock; logger: Logger }) {
		this.#pool = deps.pool;
		this.#registry = deps.registry;
		this.#dialler = deps.dialler;
		this.#clock = deps.clock;
		this.#logger = deps.logger;
		this.#registry.watch(() => this.#follow());
		this.#follow();
	}

	#follow(): void {
		const wanted = new Map<string, readonly [string, NodeLease]>();
		for (const [service, nodes] of this.#registry.routes())
			for (const lease of nodes) wanted.set(`${service} ${lease.node} ${lease.epoch}`, [service, lease]);
		for (const [key, peer] of this.#peers) {
			// One that withdrew by itself may be back: its agent has come again.
			if (wanted.has(key) && !peer.draining) continue;
			this.#peers.delete(key);
			if (!peer.draining) peer.withdraw();
		}
		for (const [key, [service, lease]] of wanted) {
			if (this.#peers.has(key)) continue;
			const agents = this.#pool.of(service);
			// Where the route still stands the agent may be on its way back: no news of the registry would say so.
			const again = () => void this.#clock.after(suspectMs, () => this.#follow());
			const peer = new PeerAgent(agents, lease, this.#dialler, this.#logger, again);
			this.#peers.set(key, peer);
			agents.add(peer);
		}
	}
}
