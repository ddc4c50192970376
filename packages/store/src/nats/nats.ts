import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type Closeable, type HealthTable, type Logger, messageOf } from "@warren/kernel";
import { storeConditions } from "../conditions.ts";
import { storeError } from "../errors.ts";

export interface NatsOptions {
	/** `host:port`, one or several of a cluster. */
	readonly servers: readonly string[];
	/** What this instance is called in the server's lists. */
	readonly name: string;
	/** From a file or the environment, never from argv. */
	readonly user?: string;
	readonly password?: string;
	readonly token?: string;
	/** PEM of the CA that signed the server's certificate; without it, no TLS. */
	readonly ca?: string;
	/** Begins every subject, bucket and stream, so that several installations share a server. */
	readonly prefix?: string;
}

export interface NatsDeps {
	readonly logger: Logger;
	readonly health?: HealthTable;
}

const limits = {
	connectMs: 5_000,
	/** An answer of JetStream that takes longer counts as none. */
	requestMs: 5_000,
	reconnectMs: 100,
	reconnectJitterMs: 200,
	/** A connection on which nothing is heard for two of these is dead. */
	pingMs: 1_000,
	maxPingsOut: 2,
} as const;

/** One connection to NATS, kept up for as long as the process lives. */
export class Nats implements Closeable {
	readonly connection: NatsConnection;
	readonly jetstream: JetStreamClient;
	readonly manager: JetStreamManager;
	readonly prefix: string;
	readonly #where: string;
	readonly #deps: NatsDeps;
	readonly #resumed = new Set<() => void>();
	readonly #lostWatchers = new Set<() => void>();
	#connected = true;

	private constructor(connection: NatsConnection, manager: JetStreamManager, options: NatsOptions, deps: NatsDeps) {
		this.connection = connection;
		this.manager = manager;
		this.jetstream = jetstream(connection, { timeout: limits.requestMs });
		this.prefix = options.prefix ?? "warren";
		this.#where = options.servers.join(", ");
		this.#deps = deps;
		void this.#watch();
	}

	/**
	 * @throws WarrenError `store_unreadable` when no server answers, or refuses the credentials; `store_unfit` when it is
	 * too old or runs without JetStream.
	 */
	static async open(options: NatsOptions, deps: NatsDeps): Promise<Nats> {
		const where = options.servers.join(", ");
		const { user, password, token, ca } = options;
		let connection: NatsConnection;
		try {
			connection = await connect({
				servers: [...options.servers],
				name: options.name,
				timeout: limits.connectMs,
				maxReconnectAttempts: -1,
				reconnectTimeWait: limits.reconnectMs,
				reconnectJitter: limits.reconnectJitterMs,
				pingInterval: limits.pingMs,
				maxPingOut: limits.maxPingsOut,
				// The cluster's own list may name addresses that this machine cannot reach.
				ignoreClusterUpdates: true,
				// A password that was changed is tried again like a server that is away: somebody may be about to mend it.
				ignoreAuthErrorAbort: true,
				...(user === undefined ? {} : { user }),
				...(password === undefined ? {} : { pass: password }),
				...(token === undefined ? {} : { token }),
				...(ca === undefined ? {} : { tls: { ca } }),
			});
		} catch (cause) {
			throw storeError("store_unreadable", `NATS at ${where} cannot be reached: ${messageOf(cause)}.`, {
				fix: "Check that nats-server runs there, and its user and password.",
				cause,
			});
		}
		try {
			checkServer(connection, where);
			const manager = await jetstreamManager(connection, { timeout: limits.requestMs });
			return new Nats(connection, manager, options, deps);
		} catch (cause) {
			await connection.close();
			if ((cause as { code?: unknown }).code === "store_unfit") throw cause;
			throw storeError("store_unreadable", `NATS at ${where} has no JetStream for us: ${messageOf(cause)}.`, {
				fix: "Start it with -js (2.9 or later), and allow JetStream for this user.",
				cause,
			});
		}
	}

	get connected(): boolean {
		return this.#connected && !this.connection.isClosed();
	}

	/** Called when it is back after it was away: messages may have been lost. */
	onResumed(watcher: () => void): Closeable {
		this.#resumed.add(watcher);
		return { close: () => void this.#resumed.delete(watcher) };
	}

	/** Called when it goes away. */
	onLost(watcher: () => void): Closeable {
		this.#lostWatchers.add(watcher);
		return { close: () => void this.#lostWatchers.delete(watcher) };
	}

	async close(): Promise<void> {
		this.#resumed.clear();
		if (!this.connection.isClosed()) await this.connection.close();
		this.#deps.health?.clear(storeConditions.busAway);
	}

	async #watch(): Promise<void> {
		for await (const status of this.connection.status()) {
			if (status.type === "disconnect" || status.type === "staleConnection") this.#lost();
			if (status.type === "reconnect") await this.#back();
		}
	}

	#lost(): void {
		if (!this.#connected) return;
		this.#connected = false;
		this.#deps.logger.warn("NATS is away", { where: this.#where });
		this.#deps.health?.raise(storeConditions.busAway, { where: this.#where });
		for (const watcher of [...this.#lostWatchers]) watcher();
	}

	async #back(): Promise<void> {
		// Subscriptions were made anew; this answer comes after them.
		await this.connection.flush().catch(() => {});
		if (this.connection.isClosed()) return;
		this.#connected = true;
		this.#deps.logger.info("NATS is back", { where: this.#where });
		this.#deps.health?.clear(storeConditions.busAway);
		for (const watcher of [...this.#resumed]) watcher();
	}
}

/** What JetStream's buckets and streams of ours need, and what the tests run on. */
const oldest = [2, 9] as const;

/** By what the server says of itself, before anything of ours is made there. @throws WarrenError `store_unfit`. */
function checkServer({ info }: NatsConnection, where: string): void {
	const version = info?.version ?? "";
	const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
	if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
		throw storeError("store_unfit", `NATS at ${where} is of version ${version || "unknown"}.`, {
			fix: `Bring nats-server to ${oldest.join(".")} or later.`,
		});
	}
	if (info?.jetstream !== true) {
		throw storeError("store_unfit", `NATS at ${where} runs without JetStream.`, {
			fix: "Start it with -js and a folder: nats-server -js -sd /var/lib/nats",
		});
	}
}

/** What a failed request to JetStream becomes. */
export function natsFailure(doing: string, cause: unknown): Error {
	return storeError("store_away", `NATS did not ${doing}: ${messageOf(cause)}.`, { cause });
}
