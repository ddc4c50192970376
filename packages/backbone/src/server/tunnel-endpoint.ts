import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, type Logger, messageOf, RateLimit } from "@warren/kernel";
import { createWebSocketStream, WebSocketServer } from "ws";
import { agentHeader, agentNameHeader, sharedProtocol, tunnelPath, tunnelProtocol } from "../protocol/endpoint.ts";
import { FrameType, frameLimits, type Welcome } from "../protocol/frames.ts";
import type { RequestHead } from "../protocol/request-head.ts";
import { agentLimits } from "./agents/agent-limits.ts";
import type { AgentPool } from "./agents/agent-pool.ts";
import { refusalText } from "./refusals.ts";
import type { ActiveService, Services } from "./services.ts";

export interface TunnelEndpointDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly services: Services;
	readonly pool: AgentPool;
	/** Where clients reach a service, as its agent shows it. */
	readonly urlOf: (service: ActiveService) => Promise<string>;
	readonly isDraining: () => boolean;
}

const failures = { perSecond: 5, burst: 50, maxKeys: 10_000 };

export interface AgentFacts {
	readonly authorization: string | null;
	readonly agent: string | null;
	readonly name: string | null;
	readonly address: string;
	readonly transport: "parked" | "shared" | "websocket" | "http2";
}

export type Admission =
	| {
			readonly ok: true;
			readonly service: ActiveService;
			readonly tokenId: string;
			readonly agent: string;
			readonly name: string;
			/** Of services, when its token was looked up. */
			readonly goneCount: number;
	  }
	| {
			readonly ok: false;
			readonly status: number;
			readonly code: string;
			readonly message: string;
			readonly retryAfterMs: number;
	  };

/** Where agents park their connections, whichever way they come: an upgrade, a WebSocket, an HTTP/2 stream. */
export class TunnelEndpoint {
	readonly #deps: TunnelEndpointDeps;
	readonly #failures: RateLimit;
	readonly #webSockets = new WebSocketServer({
		noServer: true,
		clientTracking: false,
		perMessageDeflate: false,
		maxPayload: frameLimits.maxDataBytes * 4,
		handleProtocols: (offered) => (offered.has(tunnelProtocol) ? tunnelProtocol : false),
	});

	constructor(deps: TunnelEndpointDeps) {
		this.#deps = deps;
		this.#failures = new RateLimit(deps.clock, failures);
	}

	/** Tells whether an agent may park here. */
	async admit(facts: AgentFacts): Promise<Admission> {
		const no = (status: number, code: string, message: string, retryAfterMs = 0): Admission => ({
			ok: false,
			status,
			code,
			message,
			retryAfterMs,
		});
		if (this.#deps.isDraining()) return no(503, "draining", "This server is stopping: dial again.", 1000);
		const waitMs = this.#failures.waitMs(facts.address);
		if (waitMs > 0) return no(429, "too_many", "Too many wrong tokens from this address.", waitMs);
		const bearer = /^Bearer +([A-Za-z0-9_-]{1,200})$/i.exec(facts.authorization ?? "");
		const { goneCount } = this.#deps.services;
		const found = bearer === null ? null : await this.#deps.services.authenticate(bearer[1] as string);
		if (found === null) {
			this.#failures.take(facts.address);
			return no(401, "unauthorized", "The service token is not valid.");
		}
		const { agent, name } = facts;
		if (agent === null || !/^[A-Za-z0-9_-]{8,64}$/.test(agent))
			return no(400, "bad_request", `An agent says who it is in ${agentHeader}: 8 to 64 of A-Z a-z 0-9 _ -.`);
		if (name !== null && !/^[A-Za-z0-9._-]{1,64}$/.test(name))
			return no(400, "bad_request", `${agentNameHeader} is 1 to 64 of A-Z a-z 0-9 . _ -.`);
		return { ok: true, service: found.service, tokenId: found.tokenId, agent, name: name ?? "", goneCount };
	}

	/** Parks a channel whose agent was admitted. Where a token went meanwhile, the agent has to dial again. */
	async park(channel: Duplex, admission: Admission & { ok: true }, facts: AgentFacts): Promise<void> {
		const { pool, services } = this.#deps;
		const { service } = admission;
		const welcome: Welcome = {
			service: service.name,
			kind: service.kind,
			url: await this.#deps.urlOf(service),
			maxLinks: agentLimits.maxLinksPerAgent,
			spareLinks: agentLimits.spareLinks,
			pingMs: agentLimits.pingMs,
		};
		if (channel.destroyed) return;
		if (services.goneCount !== admission.goneCount) return void channel.destroy();
		const attached = pool.attach(service.name, channel, {
			id: admission.agent,
			name: admission.name,
			address: facts.address,
			transport: facts.transport,
			tokenId: admission.tokenId,
			at: this.#deps.clock.now(),
		});
		if (attached === null) {
			this.#deps.logger.warn("an agent found no room", { service: service.name });
			channel.destroy();
			return;
		}
		attached.link.control(FrameType.welcome, JSON.stringify(welcome));
		attached.agent.add(attached.link);
	}

	/** An upgrade on one of the backbone's own names. @returns false when it is not for this endpoint. */
	upgrade(socket: Socket, head: RequestHead, rest: Buffer | null, address: string): boolean {
		if (head.target !== tunnelPath) return false;
		const transport = transportOf(head.upgradeTo);
		if (transport === null || head.method !== "GET") return false;
		const facts: AgentFacts = {
			authorization: head.authorization,
			agent: headerOf(head, agentHeader),
			name: headerOf(head, agentNameHeader),
			address,
			transport,
		};
		const left = () => socket.destroy();
		socket.on("error", left);
		this.admit(facts)
			.then(async (admission) => {
				if (socket.destroyed) return;
				if (!admission.ok) return refuse(socket, head, admission);
				socket.setKeepAlive(true, 30_000);
				const isBare = transport !== "websocket";
				const channel = isBare
					? acceptUpgrade(socket, head.upgradeTo as string)
					: this.#acceptWebSocket(socket, head, rest);
				if (channel === null) return;
				if (isBare && rest !== null) socket.unshift(rest);
				await this.park(channel, admission, facts);
				// From now on its link hears that.
				socket.off("error", left);
				socket.resume();
			})
			.catch((fault: unknown) => {
				this.#deps.logger.warn("an agent could not be taken in", { fault: messageOf(fault) });
				socket.destroy();
			});
		return true;
	}

	#acceptWebSocket(socket: Socket, head: RequestHead, rest: Buffer | null): Duplex | null {
		let channel: Duplex | null = null;
		const request = {
			method: "GET",
			url: head.target,
			headers: {
				upgrade: "websocket",
				"sec-websocket-key": head.webSocketKey ?? "",
				"sec-websocket-version": headerOf(head, "sec-websocket-version") ?? "",
				"sec-websocket-protocol": headerOf(head, "sec-websocket-protocol") ?? undefined,
			},
		};
		// All that the handshake reads of a request.
		this.#webSockets.handleUpgrade(request as unknown as IncomingMessage, socket, rest ?? Buffer.alloc(0), (ws) => {
			channel = createWebSocketStream(ws);
		});
		return channel;
	}
}

/** A field that the head's parse did not single out. */
export function headerOf(head: RequestHead, name: string): string | null {
	for (const line of head.kept.split("\r\n")) {
		const colon = line.indexOf(":");
		if (colon === name.length && line.slice(0, colon).toLowerCase() === name) return line.slice(colon + 1).trim();
	}
	return null;
}

function transportOf(upgradeTo: string | null): "parked" | "shared" | "websocket" | null {
	if (upgradeTo === tunnelProtocol) return "parked";
	if (upgradeTo === sharedProtocol) return "shared";
	return upgradeTo === "websocket" ? "websocket" : null;
}

/** @param lines further fields, each with its CRLF. */
export function acceptUpgrade(socket: Socket, protocol: string = tunnelProtocol, lines = ""): Socket {
	socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${lines}\r\n`);
	return socket;
}

export function refuse(
	socket: Socket,
	head: RequestHead,
	{ status, code, message, retryAfterMs }: { status: number; code: string; message: string; retryAfterMs: number },
): void {
	socket.on("error", () => socket.destroy());
	socket.end(refusalText({ status, code, message, retryAfterMs, keepAlive: false, head }));
	socket.resume();
	socket.once("finish", () => socket.destroySoon());
}
