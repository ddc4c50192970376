import type { ConnectionOptions } from "node:tls";
import {
	Backoff,
	type Clock,
	type Closeable,
	closeCodes,
	isPermanentClose,
	type Logger,
	newId,
	type Random,
	type Timer,
	type Tracer,
} from "@warren/kernel";
import { FrameType, type OpenRequest, parseNumber, parseWelcome } from "../protocol/frames.ts";
import type { Lane } from "../tunnel/lane.ts";
import { type LinkOwner, TunnelLink } from "../tunnel/link.ts";
import { SharedConnection, type SharedOwner } from "../tunnel/shared-connection.ts";
import { WindowBudget } from "../tunnel/window-budget.ts";
import { Dialler, type Transport } from "./dial.ts";
import { type Target, TargetStream, UdpTargetStream } from "./target-stream.ts";

export interface ServiceAgentOptions {
	readonly url: URL;
	readonly tls: ConnectionOptions;
	readonly transport: Transport;
	readonly service: string;
	/** A secret. */
	readonly token: string;
	/** Stays the same over restarts: a newer process takes over; null = one of several. */
	readonly name: string | null;
	readonly target: Target;
	/** Idle links kept ready; the server's wish unless told. */
	readonly spareLinks?: number;
}

export const serviceAgentLimits = {
	backoff: { firstMs: 250, maxMs: 8_000 },
	/** Shared connections that stand: small requests pass beside a large body, and one that is lost leaves the other. */
	sharedConnections: 2,
	/** Dials at once. */
	maxDialling: 64,
	sweepMs: 5_000,
	/** Links that were idle for so many sweeps in a row are given back. */
	idleSweeps: 12,
} as const;

/** What a server answers that knows no shared connections; or a proxy before it, for a while. */
const beforeShared: ReadonlySet<number> = new Set([400, 404, 405, 426]);

/** `stopped`: for good, with the reason; the token is refused, or another agent took over. */
export type AgentState =
	| { readonly state: "connecting"; readonly since: number; readonly lastFailure: string | null }
	| { readonly state: "online"; readonly url: string; readonly links: number }
	| { readonly state: "stopped"; readonly reason: string };

export interface ServiceAgentDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly changed: (agent: ServiceAgent) => void;
	/** Of all agents of this process. */
	readonly windows: WindowBudget;
	/** Null or absent = nobody asked for traces. */
	readonly tracer?: Tracer | null | undefined;
}

/** What the uploads to targets of all agents of a process may keep waiting, beyond their lanes' first windows. */
export const agentWindows = (): WindowBudget => WindowBudget.ofProcess();

/**
 * Keeps links parked at the backbone for one service and connects each stream to the target. It decides about how many
 * stand; which of them carries what is the server's choice.
 */
export class ServiceAgent implements LinkOwner, SharedOwner, Closeable {
	readonly service: string;
	readonly #deps: ServiceAgentDeps;
	#options: ServiceAgentOptions;
	readonly #id: string;
	readonly #backoff: Backoff;
	readonly #links = new Set<TunnelLink>();
	/** Those that get no further stream, and finish what they carry. */
	readonly #leaving = new Set<TunnelLink>();
	/** Links without a stream. */
	readonly #idle = new Set<TunnelLink>();
	/** Those that may still get lanes. */
	readonly #shared = new Set<SharedConnection>();
	#transport: Transport;
	#dialler: Dialler;
	#dialling = 0;
	#wanted = 0;
	#maxLinks = 1024;
	#spare = 4;
	#pingMs = 15_000;
	#url = "";
	#retry: Timer | null = null;
	#sweep: Timer | null = null;
	#leastIdle = 0;
	#idleSweeps = 0;
	#closed = false;
	#stopped: string | null = null;
	#lastFailure: string | null = null;
	readonly #since: number;
	#whenClosed: (() => void) | null = null;

	constructor(deps: ServiceAgentDeps, options: ServiceAgentOptions) {
		this.#deps = deps;
		this.#options = options;
		this.service = options.service;
		this.#id = newId(deps.random);
		this.#transport = options.transport;
		this.#dialler = new Dialler(options);
		this.#backoff = new Backoff(serviceAgentLimits.backoff, deps.random);
		this.#since = deps.clock.now();
	}

	start(): void {
		this.#armSweep();
		this.#balance();
	}

	get status(): AgentState {
		if (this.#stopped !== null) return { state: "stopped", reason: this.#stopped };
		if (this.#links.size > 0) return { state: "online", url: this.#url, links: this.#links.size };
		return { state: "connecting", since: this.#since, lastFailure: this.#lastFailure };
	}

	/** From the next stream on; links finish what they carry and are dialled anew, so that nothing stays with the old target. */
	retarget(target: Target): void {
		this.#options = { ...this.#options, target };
		for (const shared of [...this.#shared]) if (shared.laneCount > 0) this.#shared.delete(shared);
		for (const link of [...this.#links]) {
			this.#retire(link);
			link.goAway(closeCodes.draining, "the target has changed");
		}
		this.#balance();
	}

	/** Takes no further stream; what runs may finish within `graceMs`. */
	async close(graceMs = 10_000): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#retry?.cancel();
		for (const link of this.#links) link.goAway(closeCodes.draining, "the agent is stopping");
		for (const link of [...this.#idle]) if (link.isIdle) this.#idle.delete(link);
		if (!this.#isDone) {
			let late: Timer | undefined;
			await new Promise<void>((resolve) => {
				this.#whenClosed = resolve;
				late = this.#deps.clock.after(graceMs, resolve);
			});
			late?.cancel();
		}
		this.#sweep?.cancel();
		for (const link of [...this.#links, ...this.#leaving]) link.close("the agent is stopping");
		// Those whose own link has not begun yet, too.
		for (const shared of [...this.#shared]) shared.close("the agent is stopping");
		this.#dialler.close();
	}

	get #isDone(): boolean {
		return this.#links.size + this.#leaving.size === 0;
	}

	/** It gets no further stream. */
	#retire(link: TunnelLink): void {
		this.#idle.delete(link);
		if (this.#links.delete(link)) this.#leaving.add(link);
	}

	/** Dials while too few are ready. */
	#balance(): void {
		if (this.#closed || this.#stopped !== null || this.#retry !== null) return;
		// The first one finds out whether the server is there at all.
		const mayDial = this.#links.size === 0 ? 1 : serviceAgentLimits.maxDialling;
		while (this.#dialling < mayDial && this.#isShort) {
			this.#dialling += 1;
			void this.#dial();
		}
	}

	/** Another connection is due, beyond those that are dialled already. */
	get #isShort(): boolean {
		if (this.#transport === "shared") return this.#shared.size + this.#dialling < serviceAgentLimits.sharedConnections;
		if (this.#links.size + this.#dialling >= this.#maxLinks) return false;
		return this.#idle.size + this.#dialling < this.#spare || this.#wanted > this.#dialling;
	}

	async #dial(): Promise<void> {
		const { token, name } = this.#options;
		const transport = this.#transport;
		const dialled = await this.#dialler.dial({
			authorization: `Bearer ${token}`,
			agent: this.#id,
			...(name === null ? {} : { name }),
		});
		this.#dialling -= 1;
		if (this.#wanted > 0) this.#wanted -= 1;
		if (!dialled.ok) return this.#failed(dialled, transport);
		if (this.#closed) {
			dialled.channel.destroy();
			return;
		}
		if (transport === "shared")
			this.#shared.add(new SharedConnection(dialled.channel, this, this.#now, this.#deps.windows));
		else {
			const link = new TunnelLink(dialled.channel, this, this.#now);
			this.#links.add(link);
			this.#idle.add(link);
		}
		dialled.channel.resume();
		this.#balance();
	}

	readonly #now = () => this.#deps.clock.monotonic();

	onLane(lane: Lane): void {
		this.#links.add(new TunnelLink(lane, this, this.#now));
	}

	#failed(failure: { status: number | null; message: string; retryAfterMs: number }, transport: Transport): void {
		this.#lastFailure = failure.message;
		const { status } = failure;
		const isStranger = transport === "shared" && status !== null && beforeShared.has(status);
		if (isStranger && this.#links.size === 0) {
			this.#speak("parked");
			return this.#balance();
		}
		if (status === 401 || status === 403 || (status === 400 && !isStranger)) return this.#stop(failure.message);
		if (this.#retry !== null || this.#closed) return;
		const waitMs = Math.max(failure.retryAfterMs, this.#backoff.nextMs());
		this.#deps.logger.warn("the backbone cannot be reached", {
			service: this.service,
			fault: failure.message,
			retryInMs: Math.round(waitMs),
		});
		this.#deps.changed(this);
		this.#retryIn(waitMs);
	}

	#retryIn(waitMs: number): void {
		this.#retry = this.#deps.clock.after(waitMs, () => {
			this.#retry = null;
			if (this.#links.size === 0) this.#speak(this.#options.transport);
			this.#balance();
		});
	}

	/** From the next dial on. Without a link what was asked for is tried anew: the server may be a newer one by now. */
	#speak(transport: Transport): void {
		if (this.#transport === transport) return;
		this.#transport = transport;
		this.#dialler = new Dialler({ ...this.#options, transport });
	}

	#stop(reason: string): void {
		if (this.#stopped !== null) return;
		this.#stopped = reason;
		this.#deps.logger.error("the agent has stopped", { service: this.service, reason });
		this.#deps.changed(this);
	}

	onOpen(link: TunnelLink, open: OpenRequest): void {
		this.#idle.delete(link);
		const { target } = this.#options;
		const { clock, tracer } = this.#deps;
		// Without its request's own word a connection belongs to no trace.
		const span = open.traceparent === undefined ? null : (tracer?.begin(open.traceparent) ?? null);
		link.user =
			open.kind === "udp"
				? new UdpTargetStream(link, target, clock, span)
				: new TargetStream(link, open, target, clock, span);
		if (this.#idle.size < this.#leastIdle) this.#leastIdle = this.#idle.size;
		this.#balance();
	}

	onIdle(link: TunnelLink): void {
		if (link.retiring) return this.#leave(link, "retired");
		if (link.lane === null && this.#links.has(link)) this.#idle.add(link);
	}

	onControl(link: TunnelLink, type: number, payload: Buffer): void {
		switch (type) {
			case FrameType.welcome: {
				const welcome = parseWelcome(payload);
				if (welcome === null) return link.close("WELCOME that is none");
				// Not before: a server that has no room takes the connection and lets it go again.
				this.#backoff.reset();
				this.#spare = this.#options.spareLinks ?? welcome.spareLinks;
				this.#maxLinks = welcome.maxLinks;
				this.#pingMs = welcome.pingMs;
				const isNew = this.#url !== welcome.url || this.#links.size === 1;
				this.#url = welcome.url;
				if (isNew) this.#deps.changed(this);
				return this.#balance();
			}
			case FrameType.want: {
				const more = parseNumber(payload);
				if (more === null) return link.close("WANT without a number");
				this.#wanted = Math.min(this.#wanted + more, this.#maxLinks);
				return this.#balance();
			}
			case FrameType.goAway: {
				const code = parseNumber(payload);
				if (code === null) return link.close("GOAWAY without a code");
				this.#retire(link);
				if (link.lane !== null) this.#shared.delete(link.lane.shared);
				if (isPermanentClose(code)) this.#stop(payload.subarray(2).toString("utf8"));
				else this.#again();
				if (link.isIdle) this.#leave(link, "told to go away");
				return;
			}
			default:
				return;
		}
	}

	/** A link that nobody uses ends; the one of a shared connection with its last lane. */
	#leave(link: TunnelLink, reason: string): void {
		if (link.lane?.number === 0) link.lane.shared.retire();
		else link.finish(reason);
	}

	onClosed(gone: TunnelLink | SharedConnection): void {
		if (gone instanceof SharedConnection) {
			this.#shared.delete(gone);
			return this.#balance();
		}
		this.#linkClosed(gone);
	}

	#linkClosed(link: TunnelLink): void {
		const wasLast = this.#links.delete(link) && this.#links.size === 0;
		this.#leaving.delete(link);
		this.#idle.delete(link);
		if (this.#isDone) this.#whenClosed?.();
		if (this.#closed) return;
		if (wasLast) {
			this.#lastFailure = "all links were lost";
			this.#speak(this.#options.transport);
			this.#deps.changed(this);
			this.#again();
		} else this.#balance();
	}

	/** Not at once: a thousand agents of a server that restarts would all come in the same moment. */
	#again(): void {
		if (this.#retry !== null || this.#closed || this.#stopped !== null) return;
		this.#retryIn(this.#backoff.nextMs());
	}

	#armSweep(): void {
		this.#sweep = this.#deps.clock.after(serviceAgentLimits.sweepMs, () => {
			const now = this.#deps.clock.monotonic();
			for (const link of [...this.#links, ...this.#leaving]) {
				link.tellAlive();
				const silentMs = now - link.heardAt;
				if (link.channel.isPaused() || silentMs <= this.#pingMs * 2) continue;
				if (silentMs > this.#pingMs * 3) link.close("the server is silent");
				// It pings whom it does not hear: who only speaks asks.
				else if (link.lane === null || link.lane.number === 0) link.ping();
			}
			for (const shared of [...this.#shared]) {
				// Its own link is looked at with the others, once it has begun.
				if (shared.laneCount === 0 && now - shared.heardAt > this.#pingMs * 3) shared.close("the server is silent");
				else shared.beat();
			}
			this.#shrink();
			this.#balance();
			this.#armSweep();
		});
	}

	/** Gives back links that a burst has left over. */
	#shrink(): void {
		if (++this.#idleSweeps < serviceAgentLimits.idleSweeps) return;
		const surplus = this.#leastIdle - this.#spare;
		this.#idleSweeps = 0;
		this.#leastIdle = this.#idle.size;
		let left = surplus;
		for (const link of [...this.#idle]) {
			if (left-- <= 0) break;
			this.#retire(link);
			link.goAway(closeCodes.draining, "not needed");
		}
	}
}
