import type { Closeable, NodeId, PeerId } from "@warren/kernel";
import { Pool } from "undici";
import { addressKey } from "../address.ts";
import type { PeerDialer } from "../dialer.ts";
import { peerError } from "../errors.ts";
import type { KnownPeer } from "../known-peers.ts";

export const poolLimits = {
	maxConnectionsPerPeer: 64,
	/** Requests that may wait for one of them. */
	maxWaitingPerPeer: 256,
	headersTimeoutMs: 30_000,
	/** Silence inside an answer; event streams send keepalives well below it. */
	bodyTimeoutMs: 120_000,
	keepAliveMs: 30_000,
} as const;

/** A pool, and by what its peer is believed there: its identifier, or a pin where it has none. */
interface Opened {
	readonly pool: Pool;
	readonly nodeId: NodeId | undefined;
}

/** Open connections to peers, each judged by its certificate. */
export class PeerPools implements Closeable {
	readonly #dialer: PeerDialer;
	readonly #pools = new Map<PeerId, Opened>();
	/** On a path of before: they finish what they carry. */
	readonly #retired = new Map<PeerId, Set<Pool>>();

	constructor(dialer: PeerDialer) {
		this.#dialer = dialer;
		dialer.onMoved((id) => this.#retire(id));
	}

	/** @throws WarrenError `peer_busy`. */
	of(peer: KnownPeer): Pool {
		const opened = this.#pools.get(peer.id);
		// It has joined this warren meanwhile, or left it: what it showed before is not what it shows now.
		if (opened !== undefined && opened.nodeId !== peer.nodeId) this.#retire(peer.id);
		let pool = this.#pools.get(peer.id)?.pool;
		if (pool !== undefined && pool.stats.queued >= poolLimits.maxWaitingPerPeer) {
			throw peerError("peer_busy", `${peer.name} has ${poolLimits.maxWaitingPerPeer} requests waiting.`, {
				details: { retryAfterMs: 1000 },
			});
		}
		if (pool === undefined) {
			pool = new Pool(`https://${addressKey(peer.address)}`, {
				connect: this.#dialer.connector(peer),
				connections: poolLimits.maxConnectionsPerPeer,
				pipelining: 1,
				headersTimeout: poolLimits.headersTimeoutMs,
				bodyTimeout: poolLimits.bodyTimeoutMs,
				keepAliveTimeout: poolLimits.keepAliveMs,
			});
			this.#pools.set(peer.id, { pool, nodeId: peer.nodeId });
		}
		return pool;
	}

	/** After a pin changed, or a path went silent: connections of before must not serve again. */
	async drop(id: PeerId): Promise<void> {
		this.#retire(id);
		await Promise.all([...(this.#retired.get(id) ?? [])].map((pool) => pool.destroy()));
	}

	/** Its name on the new path may be none on the old one: what comes next gets connections of its own. */
	#retire(id: PeerId): void {
		const pool = this.#pools.get(id)?.pool;
		if (pool === undefined) return;
		this.#pools.delete(id);
		const retired = this.#retired.get(id) ?? new Set();
		this.#retired.set(id, retired.add(pool));
		const gone = () => {
			retired.delete(pool);
			if (retired.size === 0 && this.#retired.get(id) === retired) this.#retired.delete(id);
		};
		pool.close().then(gone, gone);
	}

	async close(): Promise<void> {
		const pools = [
			...[...this.#pools.values()].map(({ pool }) => pool),
			...[...this.#retired.values()].flatMap((retired) => [...retired]),
		];
		this.#pools.clear();
		await Promise.all(pools.map((pool) => pool.destroy()));
	}
}
