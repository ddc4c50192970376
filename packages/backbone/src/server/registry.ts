import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import type { KeyValue } from "@warren/store";

/** An agent as every node of a cluster sees it. */
export interface AgentLease {
	readonly service: string;
	readonly agent: string;
	readonly node: string;
	/** When the node started: a lease of an earlier life loses. */
	readonly epoch: number;
	readonly links: number;
}

const leaseMs = 15_000;
const renewMs = 5_000;

/** Who hangs where, as leases in the shared key-value: one node's memory here, NATS for several by configuration. */
export class Registry implements Closeable {
	readonly #kv: KeyValue;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #node: string;
	readonly #epoch: number;
	readonly #own: () => Omit<AgentLease, "node" | "epoch">[];
	#timer: Timer | undefined;

	constructor(
		deps: { kv: KeyValue; clock: Clock; logger: Logger },
		node: string,
		own: () => Omit<AgentLease, "node" | "epoch">[],
	) {
		this.#kv = deps.kv;
		this.#clock = deps.clock;
		this.#logger = deps.logger;
		this.#node = node;
		this.#epoch = deps.clock.now();
		this.#own = own;
	}

	async open(): Promise<void> {
		await this.#renew();
	}

	/** At once, instead of with the next renewal. */
	changed(service: string, agent: string, gone: boolean): void {
		const work = gone ? this.#kv.delete(keyOf(service, agent, this.#node)) : this.#put({ service, agent, links: 1 });
		work.catch((fault: unknown) => this.#logger.warn("an agent's lease is late", { fault: messageOf(fault) }));
	}

	async leases(): Promise<AgentLease[]> {
		const entries = await this.#kv.list("backbone.agents.");
		return entries.map(({ value }) => JSON.parse(Buffer.from(value).toString("utf8")) as AgentLease);
	}

	/** What `/admin/api/cluster` says. */
	async cluster(): Promise<{ node: string; nodes: unknown[] }> {
		const nodes = new Map<string, { node: string; self: boolean; started_at: number; agents: AgentLease[] }>();
		const of = (node: string, epoch: number) => {
			const found = nodes.get(node) ?? { node, self: node === this.#node, started_at: epoch, agents: [] };
			nodes.set(node, found);
			return found;
		};
		of(this.#node, this.#epoch);
		for (const lease of await this.leases()) of(lease.node, lease.epoch).agents.push(lease);
		return { node: this.#node, nodes: [...nodes.values()] };
	}

	close(): void {
		this.#timer?.cancel();
		for (const { service, agent } of this.#own())
			void this.#kv.delete(keyOf(service, agent, this.#node)).catch(() => undefined);
	}

	async #renew(): Promise<void> {
		try {
			for (const lease of this.#own()) await this.#put(lease);
		} catch (fault) {
			// The routes of this node go on; the leases run out for the others.
			this.#logger.warn("the registry is away", { fault: messageOf(fault) });
		}
		this.#timer = this.#clock.after(renewMs, () => void this.#renew());
	}

	async #put(lease: Omit<AgentLease, "node" | "epoch">): Promise<void> {
		const value: AgentLease = { ...lease, node: this.#node, epoch: this.#epoch };
		await this.#kv.put(keyOf(lease.service, lease.agent, this.#node), Buffer.from(JSON.stringify(value)), {
			ttlMs: leaseMs,
		});
	}
}

function keyOf(service: string, agent: string, node: string): string {
	return `backbone.agents.${service}.${agent}.${node}`;
}
