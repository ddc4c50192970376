import type { Socket } from "node:net";
import {
	type Clock,
	type Closeable,
	closeCodes,
	ExpiringMap,
	newSecret,
	type Random,
	type Timer,
	type Tracer,
} from "@warren/kernel";
import { tunnelProtocol } from "../protocol/endpoint.ts";
import { type OpenRequest, ResetCode } from "../protocol/frames.ts";
import {
	hopChallengeHeader,
	hopHeader,
	hopLimits,
	hopPath,
	hopProof,
	hopProofHeader,
	openHop,
} from "../protocol/hop-envelope.ts";
import type { RequestHead } from "../protocol/request-head.ts";
import type { Lease } from "../server/agents/agent.ts";
import type { AgentPool } from "../server/agents/agent-pool.ts";
import { carried, endStreamSpan } from "../server/stream-span.ts";
import { headerOf } from "../server/tunnel-endpoint.ts";
import { aliveMs, type LinkOwner, TunnelLink } from "../tunnel/link.ts";
import { WaitingStream } from "../tunnel/link-bridge.ts";
import type { NodeLease } from "./node-lease.ts";

export interface HopEndpointDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly pool: AgentPool;
	readonly key: Uint8Array;
	/** This node's lease; null = it has lost its name, and takes nothing. */
	readonly self: () => NodeLease | null;
	readonly isDraining: () => boolean;
	readonly tracer: Tracer | null;
}

const maxNonces = 200_000;
/** A hop that carried nothing for so long is given back. */
const idleMs = 60_000;
const sweepMs = aliveMs;

/**
 * Where other nodes reach this one's agents. Whoever has the key has judged its client already; what comes here goes to
 * an agent of this node and no further.
 */
export class HopEndpoint implements Closeable {
	readonly #deps: HopEndpointDeps;
	readonly #nonces: ExpiringMap<string, true>;
	/** Newest first. */
	#challenges: string[];
	#rotatedAt: number;
	/** By link: when it was used last. */
	readonly #links = new Map<TunnelLink, number>();
	#sweeping: Timer;

	constructor(deps: HopEndpointDeps) {
		this.#deps = deps;
		this.#nonces = new ExpiringMap(deps.clock, maxNonces);
		this.#challenges = [newSecret(deps.random)];
		this.#rotatedAt = deps.clock.monotonic();
		this.#sweeping = this.#sweep();
	}

	/** Streams of other nodes' clients that run here, and links that wait for one. */
	get size(): number {
		return this.#links.size;
	}

	/** @returns false when it is not for this endpoint. */
	upgrade(socket: Socket, head: RequestHead, rest: Buffer | null): boolean {
		if (!head.target.startsWith(hopPath) || head.upgradeTo !== tunnelProtocol || head.method !== "GET") return false;
		const envelope = openHop(this.#deps.key, headerOf(head, hopHeader) ?? "");
		// To strangers nothing is said, no challenge either.
		if (envelope === null) return this.#refuse(socket, 401, "Unauthorized", null);
		const challenges = this.#fresh();
		const service = head.target.slice(hopPath.length);
		const self = this.#deps.self();
		const isStale = !challenges.includes(envelope.challenge) || this.#nonces.get(envelope.nonce) !== undefined;
		if (isStale) return this.#refuse(socket, 401, "Unauthorized", challenges[0] as string);
		this.#nonces.set(envelope.nonce, true, hopLimits.challengeMs * (hopLimits.challengesTaken + 1));
		if (self === null || envelope.to !== self.node || envelope.epoch !== self.epoch || envelope.service !== service)
			return this.#refuse(socket, 409, "Conflict", challenges[0] as string);
		if (this.#deps.isDraining() || !this.#deps.pool.of(service).own.some((agent) => !agent.draining))
			return this.#refuse(socket, 503, "Service Unavailable", challenges[0] as string);
		socket.write(
			`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${tunnelProtocol}\r\n` +
				`${hopChallengeHeader}: ${challenges[0]}\r\n${hopProofHeader}: ${hopProof(this.#deps.key, envelope.nonce)}\r\n\r\n`,
		);
		if (rest !== null) socket.unshift(rest);
		socket.setKeepAlive(true, 30_000);
		this.#accept(socket, service);
		return true;
	}

	/** Others go elsewhere with what is new; what runs goes on. */
	drain(): void {
		for (const link of this.#links.keys()) link.goAway(closeCodes.draining, "the node is stopping");
	}

	close(): void {
		this.#sweeping.cancel();
		for (const link of [...this.#links.keys()]) link.close("the node is stopping");
	}

	#accept(socket: Socket, service: string): void {
		const owner: LinkOwner = {
			onOpen: (link, open) => this.#open(link, open, service),
			onIdle: (link) => void this.#links.set(link, this.#deps.clock.monotonic()),
			onControl: () => {},
			onClosed: (link) => void this.#links.delete(link),
		};
		const link = new TunnelLink(socket, owner, () => this.#deps.clock.monotonic());
		this.#links.set(link, this.#deps.clock.monotonic());
		socket.resume();
	}

	#open(hop: TunnelLink, open: OpenRequest, service: string): void {
		const agents = this.#deps.pool.of(service);
		const stream = new WaitingStream(hop);
		const span = open.traceparent === undefined ? null : (this.#deps.tracer?.begin(open.traceparent) ?? null);
		const end = (fault: "cancelled" | "no_agent" | null) => endStreamSpan(span, "hop", service, fault);
		const taken = (lease: Lease | null) => {
			if (stream.isOver) {
				if (lease !== null) lease.agent.onIdle(lease.link);
				end("cancelled");
			} else if (lease === null) {
				hop.reset(ResetCode.refused, `no agent of "${service}" at this node`);
				end("no_agent");
			} else {
				stream.join(lease.link, { ...open, ...carried(span) });
				end(null);
			}
		};
		const lease = agents.take(false, null, true);
		if (lease !== null) return taken(lease);
		if (agents.wait(false, taken, true) === null) taken(null);
	}

	/** Rotated on this node's own clock: no two machines need the same time of day. */
	#fresh(): readonly string[] {
		const now = this.#deps.clock.monotonic();
		while (now - this.#rotatedAt >= hopLimits.challengeMs) {
			const missed = now - this.#rotatedAt >= hopLimits.challengeMs * hopLimits.challengesTaken;
			this.#rotatedAt = missed ? now : this.#rotatedAt + hopLimits.challengeMs;
			this.#challenges = [newSecret(this.#deps.random), ...(missed ? [] : this.#challenges)].slice(
				0,
				hopLimits.challengesTaken,
			);
		}
		return this.#challenges;
	}

	#refuse(socket: Socket, status: number, text: string, challenge: string | null): true {
		socket.on("error", () => socket.destroy());
		const extra = challenge === null ? "" : `${hopChallengeHeader}: ${challenge}\r\n`;
		socket.end(`HTTP/1.1 ${status} ${text}\r\n${extra}Content-Length: 0\r\nConnection: close\r\n\r\n`);
		socket.resume();
		socket.once("finish", () => socket.destroySoon());
		return true;
	}

	#sweep(): Timer {
		return this.#deps.clock.after(sweepMs, () => {
			const now = this.#deps.clock.monotonic();
			// Announced, not cut: a stream may be on its way already, and is served.
			for (const [link, at] of this.#links) {
				link.tellAlive();
				if (link.isIdle && !link.retiring && now - at > idleMs) link.goAway(closeCodes.draining, "idle");
			}
			this.#sweeping = this.#sweep();
		});
	}
}
