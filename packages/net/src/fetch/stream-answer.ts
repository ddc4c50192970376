import type { IncomingHttpHeaders, OutgoingHttpHeader } from "node:http";
import { Readable, Writable } from "node:stream";

/** Of an answer, between its route and the client; a route that writes faster waits for `drain`. */
const maxHeldBytes = 64 * 1024;

/** Statuses that have no body (Fetch, "null body status"). */
const bodiless = new Set([101, 204, 205, 304]);

/**
 * What a StreamRoute writes, as a Response: as much of Node's ServerResponse as routes use. Destroying it once the head
 * is out breaks the answer off, so that no clean end is faked.
 */
export class StreamAnswer extends Writable {
	shouldKeepAlive = true;
	statusCode = 200;
	headersSent = false;
	readonly response: Promise<Response>;
	readonly #headers = new Headers();
	readonly #body: ReadableStream<Uint8Array>;
	#controller!: ReadableStreamDefaultController<Uint8Array>;
	#answer!: (response: Response) => void;
	#refuse!: (fault: Error) => void;
	#taken: (() => void) | null = null;
	#left = false;

	constructor() {
		super({ highWaterMark: maxHeldBytes });
		this.response = new Promise((resolve, reject) => {
			this.#answer = resolve;
			this.#refuse = reject;
		});
		// Nobody waits for it any more where a client has left.
		this.response.catch(() => {});
		this.#body = new ReadableStream<Uint8Array>(
			{
				start: (controller) => {
					this.#controller = controller;
				},
				pull: () => this.#pulled(),
				cancel: () => this.leave(),
			},
			new ByteLengthQueuingStrategy({ highWaterMark: maxHeldBytes }),
		);
	}

	setHeader(name: string, value: OutgoingHttpHeader): this {
		this.#headers.delete(name);
		for (const each of Array.isArray(value) ? value : [value]) this.#headers.append(name, String(each));
		return this;
	}

	writeHead(status: number, headers: Readonly<Record<string, OutgoingHttpHeader>> = {}): this {
		this.statusCode = status;
		for (const [name, value] of Object.entries(headers)) this.setHeader(name, value);
		return this;
	}

	flushHeaders(): void {
		if (this.headersSent) return;
		this.headersSent = true;
		const init = { status: this.statusCode, headers: this.#headers };
		this.#answer(new Response(bodiless.has(this.statusCode) ? null : this.#body, init));
	}

	/** The client is gone, or is answered by somebody else. */
	leave(): void {
		this.#left = true;
		this.destroy();
	}

	override _write(chunk: Buffer | string, encoding: BufferEncoding, done: () => void): void {
		this.flushHeaders();
		const bytes = typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
		// The route may write into its buffer again.
		if (bytes.length > 0) this.#controller.enqueue(Uint8Array.from(bytes));
		if ((this.#controller.desiredSize ?? 0) > 0) done();
		else this.#taken = done;
	}

	override _final(done: () => void): void {
		this.flushHeaders();
		if (!this.#left) this.#controller.close();
		done();
	}

	override _destroy(fault: Error | null, done: (fault: Error | null) => void): void {
		this.#taken = null;
		if (!this.writableFinished && !this.#left) {
			const broken = fault ?? new Error("the answer was broken off");
			if (this.headersSent) this.#controller.error(broken);
			else this.#refuse(broken);
		}
		// A broken answer is no fault of the process.
		done(null);
	}

	#pulled(): void {
		const taken = this.#taken;
		this.#taken = null;
		taken?.();
	}
}

/** A Request as a StreamRoute reads it: as much of Node's IncomingMessage as routes use. */
export function streamedRequest(
	request: Request,
	target: string,
	headers: IncomingHttpHeaders,
): Readable & { readonly method: string; readonly url: string; readonly headers: IncomingHttpHeaders } {
	const body = request.body === null ? Readable.from([]) : Readable.fromWeb(request.body as never);
	let complete = false;
	body.once("end", () => {
		complete = true;
	});
	body.on("error", () => {});
	return Object.defineProperties(body as never, {
		method: { value: request.method },
		url: { value: target },
		headers: { value: headers },
		complete: { get: () => complete },
	});
}
