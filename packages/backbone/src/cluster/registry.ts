import {
	type Clock,
	type Closeable,
	type HealthTable,
	type Logger,
	messageOf,
	newId,
	type Random,
	type Timer,
} from "@warren/kernel";
import type { Bus, KeyValue, KeyValueChange, KeyValueEntry } from "@warren/store";
import { clusterConditions } from "./conditions.ts";
import {
	type AgentLease,
	agentKey,
	agentsPrefix,
	leaseLimits,
	type NodeLease,
	nodeKey,
	nodesPrefix,
} from "./node-lease.ts";

/** An agent as its own node knows it. */
export type OwnAgent = Omit<AgentLease, "node" | "epoch">;

export interface RegistryDeps {
	readonly kv: KeyValue;
	/** Beside the key-value on the same engine: it tells whether that one is away. */
	readonly bus: Bus;
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
	/** This node's agents now. */
	readonly own: () => readonly OwnAgent[];
	/** The one of this service and identifier, while it is here. */
	readonly ownOf: (service: string, agent: string) => OwnAgent | undefined;
	/** Another process has this node's name. */
	readonly superseded: () => void;
}

/**
 * Who hangs where, as leases in the shared key-value. What was known stays known while that is away: a route that is too
 * old costs a failed dial, one that was forgotten costs the service.
 */
export class Registry implements Closeable {
	readonly #deps: RegistryDeps;
	readonly #node: string;
	readonly #url: string | null;
	readonly #run: string;
	readonly #nodes = new Map<string, NodeLease>();
	readonly #agents = new Map<string, AgentLease>();
	readonly #watchers = new Set<() => void>();
	readonly #open: Closeable[] = [];
	readonly #timers: (Timer | undefined)[] = [];
	#lease: NodeLease | null = null;
	#revision = 0;
	#isSuperseded = false;
	#telling = false;
	#closed = false;
	/** Agents' leases are written one after another, each as things are when its turn comes. */
	#written: Promise<void> = Promise.resolve();
	/** What came while everything is read anew, for each reading: it is later than what was read. */
	readonly #meanwhile = new Set<(() => void)[]>();
	/** Monotonic; until then nothing is forgotten. */
	#graceUntil = 0;

	constructor(deps: RegistryDeps, node: string, url: string | null) {
		this.#deps = deps;
		this.#node = node;
		this.#url = url;
		this.#run = newId(deps.random);
	}

	/** Takes the node's name, and learns of the others. @throws WarrenError `store_away`. */
	async open(): Promise<void> {
		const { bus, kv } = this.#deps;
		await this.#claim();
		this.#open.push(
			await kv.watch(nodesPrefix, (change) => this.#seen(change, this.#nodes)),
			await kv.watch(agentsPrefix, (change) => this.#seen(change, this.#agents)),
			bus.onResumed(() => this.#resumed()),
		);
		await this.#putAgents();
		this.#every(0, leaseLimits.renewNodeMs, () => this.#renewNode());
		this.#every(1, leaseLimits.renewAgentsMs, () => this.#putAgents());
		this.#every(2, leaseLimits.reconcileMs, () => this.#reconcile());
	}

	/** Called when an agent elsewhere came or went, or a node did. */
	watch(watcher: () => void): void {
		this.#watchers.add(watcher);
	}

	get self(): NodeLease | null {
		return this.#isSuperseded ? null : this.#lease;
	}

	/** Services with agents at other nodes, and those nodes. */
	routes(): Map<string, NodeLease[]> {
		const routes = new Map<string, NodeLease[]>();
		for (const lease of this.#agents.values()) {
			const node = this.#nodes.get(nodeKey(lease.node));
			if (lease.node === this.#node || node === undefined || node.epoch !== lease.epoch || node.url === null) continue;
			const nodes = routes.get(lease.service) ?? [];
			if (!nodes.includes(node)) nodes.push(node);
			routes.set(lease.service, nodes);
		}
		return routes;
	}

	/** Agents at other nodes. */
	agentsElsewhere(service: string): AgentLease[] {
		return [...this.#agents.values()].filter(
			(lease) =>
				lease.service === service &&
				lease.node !== this.#node &&
				this.#nodes.get(nodeKey(lease.node))?.epoch === lease.epoch,
		);
	}

	/** An agent came or left: told at once, instead of with the next renewal. */
	changed(service: string, agent: string): void {
		if (this.self === null) return;
		this.#writeAgent(service, agent).catch((fault: unknown) =>
			this.#deps.logger.warn("an agent's lease is late", { fault: messageOf(fault) }),
		);
	}

	/** Names of the other nodes whose leases stand. */
	get others(): readonly string[] {
		return [...this.#nodes.values()].map(({ node }) => node).filter((node) => node !== this.#node);
	}

	/** What `/admin/api/cluster` says: every node that holds its lease, and the agents that hang there. */
	cluster(): { node: string; registry: "connected" | "away"; nodes: readonly object[] } {
		const own = this.#deps.own().map((each) => ({ ...each, node: this.#node, epoch: this.#lease?.epoch ?? 0 }));
		const others = [...this.#nodes.values()].filter((each) => each.node !== this.#node);
		const shown = (lease: NodeLease, self: boolean, agents: readonly AgentLease[]) => ({
			node: lease.node,
			self,
			epoch: lease.epoch,
			url: lease.url,
			started_at: lease.startedAt,
			agents,
		});
		const leases = [...this.#agents.values()];
		return {
			node: this.#node,
			registry: this.#deps.bus.connected ? "connected" : "away",
			nodes: [
				...(this.self === null ? [] : [shown(this.self, true, own)]),
				...others.map((node) =>
					shown(
						node,
						false,
						leases.filter((each) => each.node === node.node && each.epoch === node.epoch),
					),
				),
			],
		};
	}

	/** Others forget this node at once. */
	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		for (const timer of this.#timers) timer?.cancel();
		for (const each of this.#open) void each.close();
		if (this.self !== null && this.#deps.bus.connected)
			await this.#deps.kv.delete(nodeKey(this.#node)).catch((fault: unknown) => this.#late(fault));
	}

	async #claim(): Promise<void> {
		const { kv, clock } = this.#deps;
		for (;;) {
			const stands = await kv.get(nodeKey(this.#node));
			const before = stands === null ? null : read<NodeLease>(stands);
			const lease: NodeLease = {
				node: this.#node,
				run: this.#run,
				epoch: Math.max(clock.now(), (before?.epoch ?? 0) + 1),
				url: this.#url,
				startedAt: clock.now(),
			};
			const revision = await this.#putNode(lease, stands?.revision ?? 0);
			if (revision === null) continue;
			this.#lease = lease;
			this.#revision = revision;
			return;
		}
	}

	#putNode(lease: NodeLease, expected: number): Promise<number | null> {
		const { kv } = this.#deps;
		return kv.compareAndSet(nodeKey(this.#node), bytesOf(lease), expected, { ttlMs: leaseLimits.nodeMs });
	}

	async #renewNode(): Promise<void> {
		const { bus, health, kv } = this.#deps;
		const elsewhere = [...this.#agents.values()].filter((each) => each.node !== this.#node).length;
		if (!bus.connected) health.raise(clusterConditions.registryAway, { agents: String(elsewhere) });
		else if (this.#deps.clock.monotonic() >= this.#graceUntil) health.clear(clusterConditions.registryAway);
		if (!bus.connected || this.#lease === null || this.#isSuperseded) return;
		const revision = await this.#putNode(this.#lease, this.#revision);
		if (revision !== null) {
			this.#revision = revision;
			return;
		}
		const stands = await kv.get(nodeKey(this.#node));
		// It ran out while the registry was away, or an answer was lost: it is ours still.
		if (stands === null || read<NodeLease>(stands).run === this.#run) {
			this.#revision = (await this.#putNode(this.#lease, stands?.revision ?? 0)) ?? stands?.revision ?? 0;
			return;
		}
		this.#isSuperseded = true;
		health.raise(clusterConditions.superseded, { node: this.#node });
		this.#deps.logger.error("another process has taken this node's name", { node: this.#node });
		this.#deps.superseded();
	}

	async #putAgents(): Promise<void> {
		if (!this.#deps.bus.connected || this.self === null) return;
		for (const { service, agent } of this.#deps.own()) await this.#writeAgent(service, agent);
	}

	#writeAgent(service: string, agent: string): Promise<void> {
		const { kv, ownOf } = this.#deps;
		const written = this.#written.then(async () => {
			const key = agentKey({ node: this.#node, service, agent });
			const own = ownOf(service, agent);
			if (own === undefined) return void (await kv.delete(key));
			const lease: AgentLease = { ...own, node: this.#node, epoch: this.#lease?.epoch ?? 0 };
			await kv.put(key, bytesOf(lease), { ttlMs: leaseLimits.agentMs });
		});
		this.#written = written.catch(() => {});
		return written;
	}

	#seen<T extends { readonly epoch: number }>(change: KeyValueChange, known: Map<string, T>): void {
		if (change.kind === "put") {
			const { key } = change.entry;
			const value = read<T>(change.entry);
			const isNews = known.get(key)?.epoch !== value.epoch;
			for (const each of this.#meanwhile) each.push(() => known.set(key, value));
			known.set(key, value);
			if (!isNews) return;
		} else {
			const { bus, clock } = this.#deps;
			// Whoever could not renew while the registry was away is not gone for that: the reconciliation tells.
			if (!bus.connected || clock.monotonic() < this.#graceUntil) return;
			for (const each of this.#meanwhile) each.push(() => known.delete(change.key));
			known.delete(change.key);
		}
		this.#tell();
	}

	#resumed(): void {
		const { clock } = this.#deps;
		this.#graceUntil = clock.monotonic() + leaseLimits.graceMs;
		this.#start(() => this.#renewNode().then(() => this.#putAgents()));
		this.#timers[3]?.cancel();
		this.#timers[3] = clock.after(leaseLimits.graceMs, () => {
			// Timers may come a little before their time, and nobody looks again for half a minute.
			this.#graceUntil = 0;
			this.#start(() => this.#reconcile());
		});
	}

	/** What stands in the registry, and nothing else. */
	async #reconcile(): Promise<void> {
		const { bus, kv, clock } = this.#deps;
		if (!bus.connected || clock.monotonic() < this.#graceUntil) return;
		const meanwhile: (() => void)[] = [];
		this.#meanwhile.add(meanwhile);
		try {
			const [nodes, agents] = [await kv.list(nodesPrefix), await kv.list(agentsPrefix)];
			replace(this.#nodes, nodes);
			replace(this.#agents, agents);
			for (const again of meanwhile) again();
		} finally {
			this.#meanwhile.delete(meanwhile);
		}
		this.#tell();
	}

	/** Once for all that came together. */
	#tell(): void {
		if (this.#telling) return;
		this.#telling = true;
		setImmediate(() => {
			this.#telling = false;
			if (!this.#closed) for (const watcher of this.#watchers) watcher();
		});
	}

	#every(slot: number, ms: number, work: () => Promise<void>): void {
		this.#timers[slot] = this.#deps.clock.after(ms, () => {
			work()
				.catch((fault: unknown) => this.#late(fault))
				.finally(() => {
					if (!this.#closed) this.#every(slot, ms, work);
				});
		});
	}

	#start(work: () => Promise<void>): void {
		work().catch((fault: unknown) => this.#late(fault));
	}

	#late(fault: unknown): void {
		this.#deps.logger.warn("the registry does not answer", { fault: messageOf(fault) });
	}
}

function bytesOf(value: object): Buffer {
	return Buffer.from(JSON.stringify(value));
}

function read<T>(entry: KeyValueEntry): T {
	return JSON.parse(Buffer.from(entry.value).toString("utf8")) as T;
}

function replace<T>(known: Map<string, T>, entries: readonly KeyValueEntry[]): void {
	known.clear();
	for (const entry of entries) known.set(entry.key, read<T>(entry));
}
