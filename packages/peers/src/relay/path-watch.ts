import type { Clock, Closeable, Logger, PeerId, Timer } from "@warren/kernel";
import type { PeerDirectory } from "../directory.ts";
import { isBetter, type PeerPath, pathKey } from "../path.ts";

export const pathWatchLimits = {
	/** Between two looks at the paths in use. */
	everyMs: 5_000,
	/** Looks in a row that a path must fail before its sockets are cut: one may be a busy moment. */
	misses: 2,
} as const;

export interface PathWatchDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly directory: PeerDirectory;
	/** What is open now. */
	readonly sockets: {
		readonly peers: readonly PeerId[];
		pathsOf(id: PeerId): readonly PeerPath[];
		drop(id: PeerId, on: PeerPath): void;
	};
	/** Idle connections of requests are made anew. */
	readonly forget: (id: PeerId) => Promise<void>;
	readonly onChange: () => void;
}

/**
 * Looks after the paths that relayed WebSockets use: a path that went silent is given up as soon as another one answers,
 * and its sockets are cut, so that terminals resume on the other one instead of waiting for TCP to notice. A better path
 * is taken for what comes next; what runs is left alone.
 */
export class PathWatch implements Closeable {
	readonly #deps: PathWatchDeps;
	/** By peer and path: looks in a row that it failed. */
	readonly #missed = new Map<string, number>();
	#timer: Timer | undefined;
	#looking: Promise<void> = Promise.resolve();
	#closed = false;

	private constructor(deps: PathWatchDeps) {
		this.#deps = deps;
	}

	static start(deps: PathWatchDeps): PathWatch {
		const watch = new PathWatch(deps);
		watch.#arm();
		return watch;
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		await this.#looking;
	}

	#arm(): void {
		if (this.#closed) return;
		this.#timer = this.#deps.clock.after(pathWatchLimits.everyMs, () => {
			this.#looking = this.#look().finally(() => this.#arm());
		});
	}

	async #look(): Promise<void> {
		const { peers } = this.#deps.sockets;
		const known = new Set<string>();
		await Promise.all(peers.map((id) => this.#lookAt(id, known)));
		for (const key of this.#missed.keys()) if (!known.has(key)) this.#missed.delete(key);
	}

	async #lookAt(id: PeerId, known: Set<string>): Promise<void> {
		const { directory, sockets, logger } = this.#deps;
		const peer = await directory.find(id);
		if (peer === null) return;
		const inUse = new Map(sockets.pathsOf(id).map((path) => [pathKey(path), path]));
		const { dialer } = directory;
		if (dialer.provesItself(peer)) inUse.set(pathKey(dialer.pathOf(peer)), dialer.pathOf(peer));
		for (const [name, path] of inUse) {
			const key = `${id} ${name}`;
			known.add(key);
			if (await directory.carries(path)) {
				this.#missed.delete(key);
				continue;
			}
			const missed = (this.#missed.get(key) ?? 0) + 1;
			this.#missed.set(key, missed);
			if (missed < pathWatchLimits.misses) continue;
			const other = await directory.seek(peer);
			if (other === null || pathKey(other) === name) continue;
			logger.info("a path went silent; another one is taken", { peer: peer.name, from: name, to: pathKey(other) });
			await this.#deps.forget(id);
			sockets.drop(id, path);
			this.#deps.onChange();
		}
		const now = dialer.pathOf(peer);
		if (directory.kindOf(now) === "direct" || !dialer.isReached(peer)) return;
		const best = await directory.seek(peer);
		if (best !== null && isBetter(directory.kindOf(best), directory.kindOf(now))) {
			logger.info("a better path is there", { peer: peer.name, to: pathKey(best) });
			this.#deps.onChange();
		}
	}
}
