import {
	Backoff,
	type Clock,
	type Closeable,
	type ConditionKind,
	type EventSink,
	type FederationClient,
	type HealthTable,
	type Logger,
	messageOf,
	type Random,
	type Timer,
} from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection } from "@warren/net";
import type { MeshKey } from "../ed25519.ts";
import {
	type Announcement,
	type ClientEffect,
	ClientMachine,
	type Instance,
	clientLimits as limits,
	type ParticipantGroup,
} from "../protocol/index.ts";
import type { KeptSettings } from "./link-settings.ts";
import type { MeshTrust } from "./mesh-trust.ts";

export interface LinkDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly events: EventSink;
	readonly federation: FederationClient;
	readonly key: MeshKey;
	readonly trust: MeshTrust;
	readonly kept: KeptSettings;
}

export interface LinkSettings {
	/** `wss://host/gateway`. */
	readonly gatewayUrl: string;
	readonly meshId: string;
	readonly secret: string;
	readonly login: "secret" | "key";
}

/**
 *   connecting ──► connected ──► waiting ──► connecting
 *        └──────────┴──► refused (until the settings change)
 */
export type LinkState =
	| { readonly at: "connecting" }
	| { readonly at: "connected"; readonly name: string; readonly features: readonly string[]; readonly since: number }
	| { readonly at: "waiting"; readonly reason: string; readonly retryAt: number }
	| { readonly at: "refused"; readonly reason: string }
	| { readonly at: "closed" };

export const linkRefused: ConditionKind = {
	code: "gateway-refused",
	severity: "error",
	title: "The gateway refuses this machine: {reason}.",
	advice: "Check MESH_ID and MESH_SECRET, or register anew on the Rooms page.",
	delayMs: 0,
};

export const linkAway: ConditionKind = {
	code: "gateway-away",
	severity: "warning",
	title: "The gateway cannot be reached: {reason}. Messages wait here.",
	advice: "They go out by themselves once it is back.",
	delayMs: 60_000,
};

export const linkPlain: ConditionKind = {
	code: "gateway-unencrypted",
	severity: "warning",
	title: "The gateway at {host} is reached without encryption: others on the way can read the secret and the messages.",
	advice: "Use its wss:// address.",
	delayMs: 0,
};

export const messageForged: ConditionKind = {
	code: "gateway-forged",
	severity: "warning",
	title: "A message in the name of {mesh} was refused: {why}.",
	advice: "Compare fingerprints with whoever runs it, on the Rooms page; then accept its new key, or block it.",
	delayMs: 0,
};

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

type Incoming = Extract<ClientEffect, { kind: "keep" }>["message"];

const maxInstances = 5_000;

/** How long somebody who asks who is there waits for the answer. */
const discoverMs = 2_000;

/** A node's connection to its gateway: the loop around the client machine. Reconnects with jitter, until told no. */
export class GatewayLink implements Closeable {
	readonly settings: LinkSettings;
	readonly #deps: LinkDeps;
	readonly #machine: ClientMachine;
	readonly #backoff: Backoff;
	readonly #stopping = new AbortController();
	readonly #participants = new Map<string, ParticipantGroup>();
	readonly #unwatch: () => void;
	#instances: readonly Instance[] = [];
	#asked: (() => void)[] = [];
	#connection: WebSocketConnection | null = null;
	#state: LinkState = { at: "connecting" };
	#timer: Timer | null = null;
	#retry: Timer | null = null;
	#retryAfterMs = 0;
	#performing = false;

	constructor(deps: LinkDeps, settings: LinkSettings) {
		this.#deps = deps;
		this.settings = settings;
		const { gatewayUrl, meshId, secret, login } = settings;
		this.#machine = new ClientMachine({ meshId, secret, login, host: new URL(gatewayUrl).host, key: deps.key });
		this.#backoff = new Backoff({ firstMs: limits.firstRetryMs, maxMs: limits.maxRetryMs }, deps.random);
		this.#unwatch = deps.federation.onChange(() => this.announce());
	}

	/** Rooms, access or what is to be sent have changed. */
	announce(): void {
		this.#machine.announce(this.#announcement(), this.#now());
		this.#machine.wake(this.#now());
		this.#perform();
	}

	start(): void {
		const { protocol, hostname, host } = new URL(this.settings.gatewayUrl);
		if (protocol === "ws:" && !loopback.test(hostname)) this.#deps.health.raise(linkPlain, { host });
		void this.#connect();
	}

	get state(): LinkState {
		return this.#state;
	}

	/** Meshes that are there now, as the gateway says; what it said last when it does not answer in time. */
	instances(): Promise<readonly Instance[]> {
		if (this.#state.at !== "connected") return Promise.resolve(this.#instances);
		return new Promise((resolve) => {
			const late = this.#deps.clock.after(discoverMs, () => resolve(this.#instances));
			this.#asked.push(() => {
				late.cancel();
				resolve(this.#instances);
			});
			this.#machine.discover();
			this.#perform();
		});
	}

	/** Of the meshes that this one talks with. */
	participants(): readonly ParticipantGroup[] {
		return [...this.#participants.values()].filter((group) => this.#deps.kept.admits(group.meshId));
	}

	async close(): Promise<void> {
		if (this.#state.at === "closed") return;
		this.#unwatch();
		this.#stopping.abort();
		this.#timer?.cancel();
		this.#retry?.cancel();
		this.#state = { at: "closed" };
		this.#deps.health.clear(linkAway);
		this.#deps.health.clear(linkRefused);
		this.#deps.health.clear(linkPlain);
		this.#deps.health.clear(messageForged);
		await this.#connection?.close(1000, "this machine stops");
	}

	async #connect(): Promise<void> {
		this.#become({ at: "connecting" });
		const dialled = await dialWebSocket(this.settings.gatewayUrl, this.#deps.clock, {
			protocols: [],
			maxMessageBytes: limits.maxMessageBytes,
			signal: this.#stopping.signal,
		});
		if (this.#state.at !== "connecting") {
			if (dialled.ok) dialled.connection.terminate();
			return;
		}
		if (!dialled.ok) return this.#wait(dialled.message);
		const { connection } = dialled;
		const openedAt = this.#now();
		this.#connection = connection;
		connection.onMessage((data) => {
			this.#machine.receive(data.toString("utf8"), this.#now());
			this.#perform();
		});
		connection.onClose((code, reason) => {
			this.#connection = null;
			if (this.#now() - openedAt > limits.settledMs) this.#backoff.reset();
			this.#machine.closed(code, reason);
			this.#perform();
			this.#participants.clear();
			this.#answerAsked();
			if (this.#state.at === "connecting" || this.#state.at === "connected")
				this.#wait(reason === "" ? `the connection ended (${code})` : reason);
		});
		this.#machine.opened(this.#announcement(), openedAt);
		this.#perform();
	}

	#wait(reason: string): void {
		const waitMs = Math.max(this.#backoff.nextMs(), this.#retryAfterMs * (1 + this.#deps.random.fraction()));
		this.#retryAfterMs = 0;
		this.#become({ at: "waiting", reason, retryAt: this.#deps.clock.now() + waitMs });
		this.#deps.health.raise(linkAway, { reason });
		this.#retry = this.#deps.clock.after(waitMs, () => void this.#connect());
	}

	#perform(): void {
		// What an effect brings about is performed by the loop that performs that effect.
		if (this.#performing) return;
		this.#performing = true;
		try {
			for (let effects = this.#machine.drain(); effects.length > 0; effects = this.#machine.drain()) {
				for (const effect of effects) this.#do(effect);
				this.#machine.acknowledge();
			}
		} finally {
			this.#performing = false;
		}
		this.#arm();
	}

	#do(effect: ClientEffect): void {
		const { federation, events, logger } = this.#deps;
		switch (effect.kind) {
			case "send":
				this.#connection?.send(effect.text);
				return;
			case "close":
				void this.#connection?.close(1000, effect.reason);
				return;
			case "keep":
				return this.#keep(effect);
			case "settle":
				return this.#guarded(() => federation.settle(effect.seq, effect.outcome));
			case "pull":
				return this.#guarded(() => this.#machine.offer(federation.pending(effect.after, effect.limit), this.#now()));
			case "signed-in":
				logger.info("signed in at the gateway", { gateway: this.settings.gatewayUrl, meshId: this.settings.meshId });
				this.#deps.health.clear(linkAway);
				this.#deps.health.clear(linkRefused);
				return this.#become({
					at: "connected",
					name: effect.name,
					features: effect.features,
					since: this.#deps.clock.now(),
				});
			case "refused":
				this.#deps.health.clear(linkAway);
				this.#deps.health.raise(linkRefused, { reason: effect.message });
				logger.error("the gateway refuses this machine", { reason: effect.message });
				return this.#become({ at: "refused", reason: effect.message });
			case "instances":
				this.#instances = effect.instances.slice(0, maxInstances);
				return this.#answerAsked();
			case "participants":
				for (const group of effect.groups) {
					if (group.participants.length === 0) this.#participants.delete(group.meshId);
					else if (this.#participants.size < maxInstances) this.#participants.set(group.meshId, group);
				}
				return events.publish({ type: "gateway" });
			case "presence":
				return events.publish({ type: "gateway" });
			case "drain":
				this.#retryAfterMs = Math.min(effect.retryAfterMs, limits.maxRetryMs);
		}
	}

	#keep({ message }: { readonly message: Incoming }): void {
		try {
			if (this.#deps.kept.admits(message.fromMeshId)) this.#receive(message);
			this.#machine.kept();
		} catch (failure) {
			// Not kept, so not acknowledged: the gateway brings it, and all after it, again.
			this.#deps.logger.error("a message of another warren cannot be kept", { fault: messageOf(failure) });
			this.#connection?.terminate();
		}
	}

	/** What is forged counts as kept: it would only come again. */
	#receive(message: Incoming): void {
		const judged = this.#deps.trust.judge(message);
		if (judged.ok) return this.#deps.federation.receive({ ...message, signedBy: judged.signedBy });
		const { fromMeshId: mesh } = message;
		this.#deps.health.raise(messageForged, { mesh, why: judged.why });
		this.#deps.logger.warn("a message of another warren was refused", { mesh, why: judged.why });
		this.#deps.events.publish({ type: "gateway" });
	}

	/** A disk that refuses costs this connection; the next one begins where this one stopped. */
	#guarded(work: () => void): void {
		try {
			work();
		} catch (failure) {
			this.#deps.logger.error("the outbox cannot be read or written", { fault: messageOf(failure) });
			this.#connection?.terminate();
		}
	}

	#arm(): void {
		this.#timer?.cancel();
		const due = this.#machine.deadline();
		if (due === null || this.#connection === null) return;
		this.#timer = this.#deps.clock.after(Math.max(0, due - this.#now()), () => {
			this.#machine.tick(this.#now());
			this.#perform();
		});
	}

	#answerAsked(): void {
		const asked = this.#asked;
		this.#asked = [];
		for (const answer of asked) answer();
	}

	#become(state: LinkState): void {
		if (this.#state.at === "closed") return;
		this.#state = state;
		this.#deps.events.publish({ type: "gateway" });
	}

	#announcement(): Announcement {
		const { wanted, shown } = this.#deps.federation.names();
		return {
			publicRooms: shown,
			participants: this.#deps.federation.participants(),
			interest: wanted,
			access: this.#deps.kept.access,
		};
	}

	#now(): number {
		return this.#deps.clock.monotonic();
	}
}
