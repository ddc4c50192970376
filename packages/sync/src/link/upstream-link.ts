import {
	Backoff,
	type Clock,
	type Closeable,
	isPermanentClose,
	type Logger,
	messageOf,
	type Random,
	type Timer,
} from "@warren/kernel";
import type { SyncRelay } from "../relay/sync-relay.ts";
import { type HubEndpoint, linkLimits } from "./hub-endpoint.ts";
import { type DocumentTransport, HubTransport } from "./hub-transport.ts";
import { LinkSocket } from "./link-socket.ts";

/**
 *   connecting ──► linked ──dropped──► waiting ──jittered backoff──► connecting
 *        └── 44xx, message too big ──► parked ──retry()──► connecting
 */
export type LinkState =
	| { readonly at: "connecting" }
	/** `pending`: updates that the hub has not confirmed to be on disk. */
	| { readonly at: "linked"; readonly pending: number; readonly denied: string | null }
	| { readonly at: "waiting"; readonly retryInMs: number; readonly message: string }
	/** Coming back with the same credentials is pointless: sign in again, or the document is gone. */
	| { readonly at: "parked"; readonly code: number; readonly message: string }
	| { readonly at: "closed" };

export interface UpstreamLinkDeps {
	readonly relay: SyncRelay;
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	/** Shared with other links to the same hub; one of its own unless told. */
	readonly transport?: HubTransport;
}

/** Joins one local room to the same document at the hub, for as long as it is open. No document is built: both sides tell what they have. */
export class UpstreamLink implements Closeable {
	readonly id: string;
	readonly #deps: UpstreamLinkDeps;
	readonly #hub: HubEndpoint;
	readonly #backoff: Backoff;
	readonly #onState: (state: LinkState) => void;
	#state: LinkState = { at: "connecting" };
	readonly #transport: HubTransport;
	#connection: DocumentTransport | null = null;
	#retry: Timer | undefined;

	/** @param id of the document, here and at the hub. */
	constructor(deps: UpstreamLinkDeps, hub: HubEndpoint, id: string, onState: (state: LinkState) => void = () => {}) {
		this.#deps = deps;
		this.#hub = hub;
		this.id = id;
		this.#onState = onState;
		this.#transport = deps.transport ?? new HubTransport(hub, deps.clock);
		this.#backoff = new Backoff({ firstMs: linkLimits.firstRetryMs, maxMs: linkLimits.maxRetryMs }, deps.random);
	}

	get state(): LinkState {
		return this.#state;
	}

	start(): this {
		void this.#connect();
		return this;
	}

	/** Now, and whatever parked it: after a sign-in, or when the network came back. */
	retry(): void {
		if (this.#state.at !== "waiting" && this.#state.at !== "parked") return;
		this.#retry?.cancel();
		this.#backoff.reset();
		void this.#connect();
	}

	async close(): Promise<void> {
		this.#set({ at: "closed" });
		this.#retry?.cancel();
		await this.#connection?.close();
		if (this.#deps.transport === undefined) await this.#transport.close();
	}

	async #connect(): Promise<void> {
		if (this.#state.at === "closed") return;
		this.#set({ at: "connecting" });
		try {
			const token = await this.#hub.token();
			if (token === null) return this.#set({ at: "parked", code: 4401, message: "nobody is signed in" });
			const room = await this.#deps.relay.open(this.id);
			const dialed = await this.#transport.open(this.id, token);
			if (!dialed.ok) return this.#wait(dialed.message);
			// In this turn: the hub's first message is about to be read.
			if (room.ended) return this.#abandon(dialed.transport, "the document was closed here");
			this.#linked(dialed.transport, room);
		} catch (fault) {
			this.#wait(messageOf(fault));
		}
	}

	#linked(connection: DocumentTransport, room: Awaited<ReturnType<SyncRelay["open"]>>): void {
		if (this.#isClosed()) return this.#abandon(connection, "the link was closed");
		this.#connection = connection;
		const socket = new LinkSocket(connection, () => {
			if (this.#connection !== connection) return;
			const pending = Math.max(0, socket.sent - socket.durable);
			this.#set({ at: "linked", pending, denied: socket.denied });
		});
		const since = this.#deps.clock.monotonic();
		connection.onClose((code, reason) => {
			this.#connection = null;
			if (this.#isClosed()) return;
			if (isPermanentClose(code) || code === messageTooBig) {
				this.#deps.logger.warn("a document is not synced with the hub", { document: this.id, code, reason });
				this.#set({ at: "parked", code, message: reason });
				return;
			}
			if (this.#deps.clock.monotonic() - since >= linkLimits.provenMs) this.#backoff.reset();
			this.#wait(`closed with ${code} ${reason}`);
		});
		const who = {
			owner: "link",
			access: "read-write",
			acknowledges: false,
			maxClients: linkLimits.maxClients,
		} as const;
		this.#deps.relay.join(room, socket, who, null);
		this.#set({ at: "linked", pending: 0, denied: null });
	}

	#abandon(connection: DocumentTransport, message: string): void {
		void connection.close();
		this.#wait(message);
	}

	#wait(message: string): void {
		if (this.#isClosed()) return;
		const retryInMs = this.#backoff.nextMs();
		this.#set({ at: "waiting", retryInMs, message });
		this.#retry = this.#deps.clock.after(retryInMs, () => void this.#connect());
	}

	#isClosed(): boolean {
		return this.#state.at === "closed";
	}

	#set(state: LinkState): void {
		if (this.#isClosed()) return;
		this.#state = state;
		this.#onState(state);
	}
}

/** RFC 6455 §7.4.1. */
const messageTooBig = 1009;
