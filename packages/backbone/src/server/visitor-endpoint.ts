import type { Socket } from "node:net";
import { type Clock, type Logger, messageOf, parseTraceparent, type Timer, type Tracer } from "@warren/kernel";
import type { Caller, Callers } from "../identity/callers.ts";
import { forwardPath, serviceKindHeader, tunnelProtocol } from "../protocol/endpoint.ts";
import { type OpenRequest, ResetCode } from "../protocol/frames.ts";
import type { RequestHead } from "../protocol/request-head.ts";
import { type LinkOwner, TunnelLink } from "../tunnel/link.ts";
import { WaitingStream } from "../tunnel/link-bridge.ts";
import type { AgentPool } from "./agents/agent-pool.ts";
import { type Running, runningOf } from "./front.ts";
import { Pace } from "./pace.ts";
import type { ActiveService, Services } from "./services.ts";
import { takeLink } from "./stream-ports.ts";
import { carried, endStreamSpan } from "./stream-span.ts";
import { acceptUpgrade, refuse } from "./tunnel-endpoint.ts";

export const visitorLimits = {
	/** A link that carries no stream for so long ends. */
	idleMs: 30_000,
	/** …which is looked at this often. */
	lookMs: 10_000,
	/** What of earlier streams may wait to be read when another one is asked for: a backlog of datagrams at most. */
	maxUnreadBytes: 2 * 1024 * 1024,
} as const;

export interface VisitorEndpointDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly services: Services;
	readonly pool: AgentPool;
	readonly callers: Callers;
	/** Null = nobody asked for traces. */
	readonly tracer: Tracer | null;
}

/** Who was let in, and to what. */
interface Visit {
	readonly name: string;
	readonly caller: Caller;
	readonly socket: Socket;
	readonly address: string;
}

/** Where `warren forward` comes in: a principal with a grant gets streams of a TCP or UDP service, each asked for by OPEN. */
export class VisitorEndpoint {
	readonly #deps: VisitorEndpointDeps;
	readonly #running = new Map<TunnelLink, Running>();

	constructor(deps: VisitorEndpointDeps) {
		this.#deps = deps;
	}

	/** @returns false when it is not for this endpoint. */
	upgrade(socket: Socket, head: RequestHead, rest: Buffer | null, address: string): boolean {
		if (!head.target.startsWith(forwardPath) || head.upgradeTo !== tunnelProtocol || head.method !== "GET")
			return false;
		const left = () => socket.destroy();
		socket.on("error", left);
		this.#admit(socket, head, rest, address).catch((fault: unknown) => {
			this.#deps.logger.warn("a visitor could not be let in", { fault: messageOf(fault) });
			socket.destroy();
		});
		return true;
	}

	/** Who is here now. */
	running(): Iterable<Running> {
		return this.#running.values();
	}

	/** Cuts visitors, and what they have open. */
	disconnect(matches: (running: Running) => boolean): void {
		for (const [link, running] of [...this.#running]) if (matches(running)) link.close("access was taken away");
	}

	async #admit(socket: Socket, head: RequestHead, rest: Buffer | null, address: string): Promise<void> {
		const no = (status: number, code: string, message: string) =>
			refuse(socket, head, { status, code, message, retryAfterMs: 0 });
		const name = head.target.slice(forwardPath.length);
		const found = (): ActiveService | null => {
			const service = this.#deps.services.get(name);
			if (service === null) no(404, "unknown_service", `There is no service "${name.slice(0, 63)}".`);
			else if (service.admits(address)) return service;
			else no(403, "address_refused", `${address} may not reach "${name}".`);
			return null;
		};
		if (found() === null) return;
		if (head.credential === null) return no(401, "unauthorized", "This needs x-backbone-principal.");
		const caller = await this.#deps.callers.judge(
			{ credential: head.credential, assertion: head.assertion, urlToken: null, cookieToken: null },
			{ service: name, method: "GET", path: head.target, now: this.#deps.clock.now() },
			address,
		);
		if (socket.destroyed) return;
		if (!caller.ok) return no(caller.status, caller.code, caller.message);
		// As it is now: it may have changed, or gone, while its visitor was looked up.
		const service = found();
		if (service === null) return;
		// A bare stream to an HTTP service would let the visitor write the identity headers itself.
		if (service.kind !== "tcp" && service.kind !== "udp")
			return no(
				409,
				"conflict",
				`"${name}" is a service of kind ${service.kind}: TCP and UDP services are forwarded; use its URL.`,
			);
		acceptUpgrade(socket, tunnelProtocol, `${serviceKindHeader}: ${service.kind}\r\n`);
		if (rest !== null) socket.unshift(rest);
		socket.setKeepAlive(true, 30_000);
		const owner: LinkOwner = {
			onOpen: (link, open) => this.#open(link, open, { name, caller, socket, address }),
			onIdle: () => {},
			onControl: () => {},
			onClosed: (closed) => {
				this.#running.delete(closed);
				idle?.cancel();
			},
		};
		const link = new TunnelLink(socket, owner, () => this.#deps.clock.monotonic());
		let idle: Timer | null = null;
		let usedAt = this.#deps.clock.monotonic();
		const watch = () => {
			idle = this.#deps.clock.after(visitorLimits.lookMs, () => {
				const now = this.#deps.clock.monotonic();
				link.tellAlive();
				if (link.user !== null) usedAt = now;
				if (now - usedAt >= visitorLimits.idleMs) link.close(`no stream for ${visitorLimits.idleMs} ms`);
				else watch();
			});
		};
		if (link.isOpen) watch();
		this.#running.set(link, runningOf({ service, caller, address }));
		if (link.isOpen) socket.resume();
	}

	#open(visitor: TunnelLink, open: OpenRequest, { name, caller, socket, address }: Visit): void {
		// As it is now: its limits may have changed since the visitor came.
		const service = this.#deps.services.get(name);
		if (service === null) return visitor.close("the service was taken away");
		const { kind } = service;
		if (visitor.bufferedBytes > visitorLimits.maxUnreadBytes) return visitor.close("answers that nobody reads");
		if ((kind !== "tcp" && kind !== "udp") || open.kind !== kind)
			return visitor.reset(ResetCode.protocol, `"${service.name}" is a service of kind ${kind}`);
		if (Math.max(caller.requests?.take("") ?? 0, service.requests?.take("") ?? 0) > 0)
			return visitor.reset(ResetCode.limit, "too many streams");
		const stream = new WaitingStream(visitor);
		// What a visitor says is believed as far as it is one: nothing else of its OPEN goes on.
		const came = typeof open.traceparent === "string" && parseTraceparent(open.traceparent) !== null;
		const parent = came ? open.traceparent : undefined;
		const span = this.#deps.tracer?.begin(parent) ?? null;
		takeLink(this.#deps.pool, service.name, (lease) => {
			const fault = stream.isOver ? "cancelled" : lease === null ? "no_agent" : null;
			endStreamSpan(span, "forward", service.name, fault);
			if (stream.isOver) {
				if (lease !== null) lease.agent.onIdle(lease.link);
				return;
			}
			if (lease === null) return visitor.reset(ResetCode.refused, `no agent of "${service.name}"`);
			stream.join(
				lease.link,
				{
					kind,
					client: { address, port: socket.remotePort ?? 0 },
					local: { address: socket.localAddress?.replace(/^::ffff:/, "") ?? "", port: socket.localPort ?? 0 },
					...carried(span, parent),
				},
				Pace.of(this.#deps.clock, service.throttle, caller.throttle),
			);
		});
	}
}
