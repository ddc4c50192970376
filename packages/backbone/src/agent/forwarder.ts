import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Clock, Closeable, Logger, Tracer } from "@warren/kernel";
import { forwardPath } from "../protocol/endpoint.ts";
import { TunnelLink } from "../tunnel/link.ts";
import { SocketStream } from "../tunnel/socket-stream.ts";
import { Dialler, type DialTarget } from "./dial.ts";
import { LinkWatch } from "./link-watch.ts";
import { UdpFlows } from "./udp-flows.ts";

export interface ForwarderOptions {
	readonly target: Omit<DialTarget, "transport">;
	readonly service: string;
	/** A secret. */
	readonly credential: string;
	readonly host: string;
	/** 0 = any free one. */
	readonly port: number;
}

export interface ForwarderDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	/** Null or absent = nobody asked for traces. */
	readonly tracer?: Tracer | null | undefined;
}

const maxConnections = 1024;

/** A port of this machine that leads to a TCP or UDP service of the backbone: one link a connection or local source. */
export class Forwarder implements Closeable {
	readonly #deps: ForwarderDeps;
	readonly #options: ForwarderOptions;
	readonly #dialler: Dialler;
	readonly #server: Server;
	readonly #sockets = new Set<Socket>();
	/** Null = a TCP service. */
	#flows: UdpFlows | null = null;

	private constructor(deps: ForwarderDeps, options: ForwarderOptions) {
		this.#deps = deps;
		this.#options = options;
		this.#dialler = new Dialler({ ...options.target, transport: "parked" });
		this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
			this.#sockets.add(socket);
			socket.once("close", () => this.#sockets.delete(socket));
			socket.on("error", () => socket.destroy());
			void this.#forward(socket);
		});
		this.#server.maxConnections = maxConnections;
	}

	/** Asks the backbone first: a credential that it refuses is known at once. @returns the forwarder, or why not. */
	static async open(
		deps: ForwarderDeps,
		options: ForwarderOptions,
	): Promise<{ ok: true; forwarder: Forwarder } | { ok: false; status: number | null; message: string }> {
		const forwarder = new Forwarder(deps, options);
		const tried = await forwarder.#dial();
		if (!tried.ok) return tried;
		tried.channel.destroy();
		if (tried.serviceKind === "udp") {
			forwarder.#flows = await UdpFlows.open({ ...deps, dial: () => forwarder.#dial() }, options.host, options.port);
			return { ok: true, forwarder };
		}
		await new Promise<void>((resolve, reject) => {
			forwarder.#server.once("error", reject);
			forwarder.#server.listen(options.port, options.host, () => resolve());
		});
		// A connection that the system could not hand over: the next one may be.
		forwarder.#server.on("error", () => {});
		return { ok: true, forwarder };
	}

	get protocol(): "tcp" | "udp" {
		return this.#flows === null ? "tcp" : "udp";
	}

	get port(): number {
		return this.#flows?.port ?? (this.#server.address() as AddressInfo).port;
	}

	async close(): Promise<void> {
		if (this.#flows !== null) return this.#flows.close();
		await new Promise<void>((resolve) => {
			this.#server.close(() => resolve());
			for (const socket of this.#sockets) socket.destroy();
		});
	}

	#dial() {
		return this.#dialler.dial({ principal: this.#options.credential }, forwardPath + this.#options.service);
	}

	async #forward(socket: Socket): Promise<void> {
		const span = this.#deps.tracer?.begin(undefined) ?? null;
		const dialled = await this.#dial();
		span?.end({
			name: "forward connection",
			attributes: { "warren.role": "forward", ...(dialled.ok ? {} : { "error.type": "refused" }) },
		});
		if (!dialled.ok) {
			this.#deps.logger.warn("the backbone refuses a connection", { fault: dialled.message });
			return void socket.resetAndDestroy();
		}
		if (socket.destroyed) return void dialled.channel.destroy();
		const link = new TunnelLink(
			dialled.channel,
			{
				onIdle: (idle) => idle.finish("over"),
				onControl: () => {},
				onClosed: (_link, reason) => this.#deps.logger.debug("a forwarded connection is over", { reason }),
			},
			() => this.#deps.clock.monotonic(),
		);
		const open = { kind: "tcp", ...(span === null ? {} : { traceparent: span.traceparent }) } as const;
		link.open(open, new SocketStream(socket, link, { clock: this.#deps.clock, throttle: null }));
		new LinkWatch(this.#deps.clock, link);
		dialled.channel.resume();
		socket.resume();
	}
}
