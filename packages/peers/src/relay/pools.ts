import type { Closeable, PeerId } from "@warren/kernel";
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

/** Open connections to peers, each judged by its certificate. */
export class PeerPools implements Closeable {
	readonly #dialer: PeerDialer;
	readonly #pools = new Map<PeerId, Pool>();

	constructor(dialer: PeerDialer) {
		this.#dialer = dialer;
	}

	/** @throws WarrenError `peer_busy`. */
	of(peer: KnownPeer): Pool {
		let pool = this.#pools.get(peer.id);
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
			this.#pools.set(peer.id, pool);
		}
		return pool;
	}

	/** After a pin changed: connections that were made under the old one must not serve again. */
	async drop(id: PeerId): Promise<void> {
		const pool = this.#pools.get(id);
		this.#pools.delete(id);
		await pool?.destroy();
	}

	async close(): Promise<void> {
		const pools = [...this.#pools.values()];
		this.#pools.clear();
		await Promise.all(pools.map((pool) => pool.destroy()));
	}
}
