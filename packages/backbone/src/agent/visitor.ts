import type { Duplex } from "node:stream";
import type { Clock, Closeable } from "@warren/kernel";
import { backboneError } from "../errors.ts";
import { forwardPath } from "../protocol/endpoint.ts";
import { TunnelLink } from "../tunnel/link.ts";
import { LinkDuplex } from "../tunnel/link-duplex.ts";
import { Dialler, type DialTarget } from "./dial.ts";
import { LinkWatch } from "./link-watch.ts";

export interface VisitorOptions {
	readonly target: Omit<DialTarget, "transport">;
	/** A principal's. A secret. */
	readonly credential: string;
}

/** Streams to TCP services of a backbone, for who holds a grant: one link each. */
export class Visitor implements Closeable {
	readonly #clock: Clock;
	readonly #credential: string;
	readonly #dialler: Dialler;

	constructor(clock: Clock, { target, credential }: VisitorOptions) {
		this.#clock = clock;
		this.#credential = credential;
		this.#dialler = new Dialler({ ...target, transport: "parked" });
	}

	/** @throws WarrenError `no_stream` with what the backbone said, or why it was not reached. */
	async open(service: string, signal?: AbortSignal): Promise<Duplex> {
		const dialled = await this.#dialler.dial({ principal: this.#credential }, forwardPath + service);
		if (!dialled.ok)
			throw backboneError("no_stream", dialled.message, {
				details: { backboneStatus: dialled.status, retryAfterMs: dialled.retryAfterMs },
			});
		if (signal?.aborted === true) {
			dialled.channel.destroy();
			throw backboneError("no_stream", "It was called off.");
		}
		const link = new TunnelLink(
			dialled.channel,
			{
				onIdle: (idle) => idle.finish("over"),
				onControl: () => {},
				onClosed: () => {},
			},
			() => this.#clock.monotonic(),
		);
		const stream = new LinkDuplex(link);
		link.open({ kind: "tcp" }, stream);
		new LinkWatch(this.#clock, link);
		dialled.channel.resume();
		return stream;
	}

	close(): void {
		this.#dialler.close();
	}
}
