import { Duplex } from "node:stream";
import { ResetCode } from "../protocol/frames.ts";
import type { StreamUser, TunnelLink } from "./link.ts";

/** The stream of a link as Node's own stream, for what wants one (HTTP/2 sessions). */
export class LinkDuplex extends Duplex implements StreamUser {
	readonly #link: TunnelLink;
	readonly #broken: (code: number) => void;
	#drained: (() => void) | null = null;

	/** @param broken hears with which code the other side broke the stream. */
	constructor(link: TunnelLink, broken: (code: number) => void = () => {}) {
		super({ allowHalfOpen: true });
		this.#link = link;
		this.#broken = broken;
	}

	override _write(chunk: Buffer, _encoding: BufferEncoding, done: (fault?: Error | null) => void): void {
		if (this.#link.write(chunk)) done();
		else this.#drained = () => done();
	}

	override _final(done: (fault?: Error | null) => void): void {
		if (this.#link.user === this) this.#link.end();
		done();
	}

	override _read(): void {
		this.#link.resume();
	}

	override _destroy(fault: Error | null, done: (fault?: Error | null) => void): void {
		if (this.#link.user === this) this.#link.reset(ResetCode.cancelled, fault?.message ?? "over");
		done(fault);
	}

	onData(piece: Buffer): void {
		if (!this.push(piece)) this.#link.pause();
	}

	onEnd(): void {
		this.push(null);
	}

	onBroken(code: number, reason: string): void {
		this.#broken(code);
		this.destroy(new Error(reason));
	}

	onDrain(): void {
		const drained = this.#drained;
		this.#drained = null;
		drained?.();
	}
}
