import type { Socket } from "node:net";
import type { Clock } from "@warren/kernel";
import { ResetCode } from "../protocol/frames.ts";
import type { Throttle } from "../server/throttle.ts";
import type { StreamUser, TunnelLink } from "./link.ts";

export interface SocketStreamOptions {
	readonly clock: Clock;
	readonly throttle: Throttle | null;
	/** The far side could not be reached at all. */
	readonly refused?: () => void;
}

/** A connection that came in, on a link. A side that ends is told so; one that breaks, too. */
export class SocketStream implements StreamUser {
	readonly #socket: Socket;
	readonly #link: TunnelLink;
	readonly #options: SocketStreamOptions;
	#over = false;

	constructor(socket: Socket, link: TunnelLink, options: SocketStreamOptions) {
		this.#socket = socket;
		this.#link = link;
		this.#options = options;
		socket.on("data", (chunk: Buffer) => {
			if (!link.write(chunk)) socket.pause();
			this.#slowDown(chunk.length, socket);
		});
		socket.on("drain", () => {
			if (link.user === this) link.resume();
		});
		socket.on("end", () => {
			if (link.user === this) link.end();
		});
		socket.on("error", () => socket.destroy());
		socket.on("close", () => {
			this.#over = true;
			if (link.user === this) link.reset(ResetCode.cancelled, "the client left");
		});
	}

	onData(piece: Buffer): void {
		if (!this.#socket.write(piece)) this.#link.pause();
		this.#slowDown(piece.length, this.#link);
	}

	onEnd(): void {
		this.#socket.end();
	}

	onBroken(code: number): void {
		if (code === ResetCode.refused || code === ResetCode.timeout) this.#options.refused?.();
		this.#over = true;
		this.#socket.resetAndDestroy();
	}

	onDrain(): void {
		this.#socket.resume();
	}

	/** Bandwidth limits: what passed is waited for by whoever sent it. */
	#slowDown(bytes: number, source: { pause(): void; resume(): void }): void {
		const { clock, throttle } = this.#options;
		const waitMs = throttle?.passed(bytes, clock.monotonic()) ?? 0;
		if (waitMs === 0) return;
		source.pause();
		clock.after(waitMs, () => {
			if (!this.#over && (source !== this.#link || this.#link.user === this)) source.resume();
		});
	}
}
