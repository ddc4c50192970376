import type { Socket } from "node:net";
import { HeadLines } from "../../protocol/head-lines.ts";
import { headLimits, parseRequestHead, type RequestHead } from "../../protocol/request-head.ts";
import { swapText } from "../credentials.ts";
import { type Front, type Running, runningOf } from "../front.ts";
import { headRefusalCode, refusalText } from "../refusals.ts";
import type { ActiveService } from "../services.ts";
import { type Admission, type AdmittedRequest, admit } from "./admission.ts";
import { type Arrival, arrivalOf } from "./arrival.ts";
import { CrossingExchange } from "./crossing-exchange.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import type { WebSocketSplice } from "./web-socket-splice.ts";

/** Of each head in turn. */
const lines = new HeadLines();
/** Bytes of a client that may wait while an earlier request of it is served. */
const maxPendingBytes = 64 * 1024;

/**
 *   idle ──head──► judging ──admitted──► serving ──answer whole──► idle
 *     │               └──────refused───────┘ │ └──101──► spliced
 *     │                                      └──no further request──► lingering until the client has read it
 *     └──a name of the backbone itself, or HTTP/2──► somebody else's
 */
type State =
	| { readonly is: "idle" | "judging" | "lingering" | "closed" }
	| { readonly is: "serving"; readonly exchange: Http1Exchange | CrossingExchange }
	| { readonly is: "spliced"; readonly splice: WebSocketSplice; readonly request: AdmittedRequest };

const idle: State = { is: "idle" };
const judging: State = { is: "judging" };
const lingering: State = { is: "lingering" };
const closed: State = { is: "closed" };

/** One connection of a client, HTTP/1.1: its requests one after another, from their heads on. */
export class ClientConnection {
	readonly front: Front;
	readonly socket: Socket;
	readonly arrival: Arrival;
	/** Coarse; by when this state must have moved on. Infinity = no limit. */
	deadline: number;
	/** The connection takes another request after this one. */
	keepAlive = false;
	#state: State = idle;
	#pending: Buffer | null = null;
	#head: RequestHead | null = null;

	constructor(front: Front, socket: Socket, pinned: string | null) {
		this.front = front;
		this.socket = socket;
		this.arrival = arrivalOf(front, socket, pinned);
		this.deadline = front.now + front.limits.headTimeoutMs;
		socket.on("data", this.#onData);
		socket.on("drain", this.#onDrain);
		socket.on("end", this.#onEnd);
		socket.on("error", this.#onGone);
		socket.on("close", this.#onGone);
	}

	get isOpen(): boolean {
		return this.#state.is !== "closed";
	}

	/** Null between requests. */
	get running(): Running | null {
		const state = this.#state;
		const request = state.is === "serving" ? state.exchange.request : state.is === "spliced" ? state.request : null;
		return request === null ? null : runningOf(request);
	}

	// ── bytes of the client ──

	readonly #onData = (chunk: Buffer): void => {
		const state = this.#state;
		switch (state.is) {
			case "idle":
				if (this.#pending === null) this.deadline = this.front.now + this.front.limits.headTimeoutMs;
				this.#pending = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]);
				return this.#readHead(this.#pending);
			case "serving":
				return state.exchange.takesBody ? state.exchange.fromClient(chunk) : this.keep(chunk);
			case "judging":
				return this.keep(chunk);
			case "spliced":
				return state.splice.fromClient(chunk);
			case "lingering":
			case "closed":
				return;
		}
	};

	/** Holds bytes of the next request, or of a body that nobody takes yet. */
	keep(bytes: Buffer): void {
		this.#pending = this.#pending === null ? bytes : Buffer.concat([this.#pending, bytes]);
		if (this.#pending.length > maxPendingBytes) this.socket.pause();
	}

	takePending(): Buffer | null {
		const pending = this.#pending;
		this.#pending = null;
		return pending;
	}

	#readHead(pending: Buffer): void {
		if (!lines.read(pending) || lines.length > headLimits.maxHeadBytes) {
			if (pending.length > headLimits.maxHeadBytes)
				this.#refuseHead(431, `The head is larger than ${headLimits.maxHeadBytes} bytes.`);
			// Another protocol, or a request that no line of HTTP begins: said at once, before its deadline.
			else if (pending[0] !== undefined && (pending[0] <= 0x20 || pending[0] >= 0x7f))
				this.#refuseHead(400, "This is not HTTP/1.1.");
			return;
		}
		const { length } = lines;
		const text = pending.toString("latin1", 0, length);
		if (text.startsWith("PRI * HTTP/2.0")) {
			this.#letGo();
			return this.front.handOverHttp2(this.socket, pending, this.arrival.pinned);
		}
		const head = parseRequestHead(text, lines);
		if ("refused" in head) return this.#refuseHead(head.status, head.message);
		const headBytes = pending.length === length ? pending : pending.subarray(0, length);
		this.#pending = pending.length === length ? null : pending.subarray(length);
		this.#head = head;
		this.keepAlive = head.keepAlive && !this.front.draining;
		const admission = admit(this.front, this.arrival, head);
		if (!(admission instanceof Promise)) return this.#admitted(admission, head, headBytes);
		this.#state = judging;
		this.deadline = Number.POSITIVE_INFINITY;
		admission.then(
			(settled) => {
				if (this.#state === judging) this.#admitted(settled, head, headBytes);
			},
			(fault: unknown) => {
				this.front.fault("a request could not be judged", fault);
				if (this.#state !== judging) return;
				this.writeRefusal(503, "unavailable", "Nobody can be identified right now.", true, 0);
				this.finished(null, 503, false);
			},
		);
	}

	#admitted(admission: Admission, head: RequestHead, headBytes: Buffer): void {
		const bodyDone = head.body.kind === "none";
		switch (admission.kind) {
			case "admitted": {
				// Many that speak HTTP/2 take a WebSocket as HTTP/1.1 asks for it, on the same port.
				const crosses = admission.service.kind === "h2" && head.webSocketKey === null;
				const exchange = crosses ? new CrossingExchange(this, admission) : new Http1Exchange(this, admission);
				this.#state = { is: "serving", exchange };
				return exchange.start();
			}
			case "refused": {
				const { service, status, code, message, close, retryAfterMs } = admission;
				this.writeRefusal(status, code, message, close || !bodyDone, retryAfterMs);
				return this.finished(service, status, bodyDone);
			}
			case "swapped":
				this.socket.write(swapText(admission.fields, head.keepAlive));
				return this.finished(admission.service, 303, bodyDone);
			case "own": {
				// The API's: its listener takes the connection over, from this head on.
				const rest = this.takePending();
				this.#letGo();
				return this.front.handOver(this.socket, head, headBytes, rest);
			}
		}
	}

	// ── ends of a request ──

	#refuseHead(status: number, message: string): void {
		this.#head = null;
		this.writeRefusal(status, headRefusalCode(status), message, true, 0);
		this.finished(null, status, false);
	}

	/** @param close the connection must end with it. */
	writeRefusal(status: number, code: string, message: string, close: boolean, retryAfterMs: number): void {
		if (close) this.keepAlive = false;
		const { keepAlive } = this;
		this.socket.write(refusalText({ status, code, message, retryAfterMs, keepAlive, head: this.#head }));
	}

	/** An answer is out, whole. @param service null = it is nobody's. */
	finished(service: ActiveService | null, status: number, bodyDone: boolean): void {
		this.front.finished(service, status);
		if (!this.keepAlive || !bodyDone) return this.#linger();
		this.#state = idle;
		this.deadline = this.front.now + this.front.limits.keepAliveMs;
		if (this.socket.isPaused()) this.socket.resume();
		// Not from within: a flood of pipelined requests must let others have their turn.
		if (this.#pending !== null) setImmediate(() => this.#next());
	}

	#next(): void {
		if (this.#state !== idle || this.#pending === null) return;
		this.deadline = this.front.now + this.front.limits.headTimeoutMs;
		this.#readHead(this.#pending);
	}

	/** Says that it is over and lets the client read it: a connection that is closed on unread bytes loses them. */
	#linger(): void {
		this.#state = lingering;
		this.#pending = null;
		this.deadline = this.front.now + this.front.limits.lingerMs;
		this.socket.end();
		this.socket.resume();
	}

	/** From now on bytes pass both ways. @param until coarse; when it must end. */
	upgraded(splice: WebSocketSplice, until: number): void {
		const state = this.#state;
		if (state.is !== "serving") return;
		const { request } = state.exchange;
		this.#state = { is: "spliced", splice, request };
		this.front.finished(request.service, 101);
		this.deadline = until;
		const pending = this.takePending();
		if (pending !== null) splice.fromClient(pending);
		if (this.socket.isPaused()) this.socket.resume();
	}

	// ── ends of the connection ──

	readonly #onDrain = (): void => {
		const state = this.#state;
		if (state.is === "serving") state.exchange.clientDrained();
		else if (state.is === "spliced") state.splice.clientDrained();
	};

	readonly #onEnd = (): void => {
		const state = this.#state;
		if (state.is === "spliced") state.splice.clientEnded();
		// A half-closed request is a client that has left, as every proxy takes it.
		else if (state.is === "serving" || state.is === "judging") this.cut();
		else this.destroy();
	};

	readonly #onGone = (): void => this.destroy();

	/** The deadline has passed. */
	expire(): void {
		const state = this.#state;
		if (state.is === "serving") return state.exchange.expire();
		if (state.is === "spliced") return this.cut();
		// Half a head: say so. A connection that is merely unused just ends.
		if (state.is !== "idle" || this.#pending === null) return this.destroy();
		this.#head = null;
		this.writeRefusal(408, "slow_head", "The request's head did not come in time.", true, 0);
		this.finished(null, 408, false);
	}

	/** For a shutdown: what is idle goes at once, the rest after its answer. */
	drain(): void {
		this.keepAlive = false;
		if (this.#state.is === "idle" && this.#pending === null) this.destroy();
		else if (this.#state.is === "spliced") this.cut();
	}

	/** No clean end: whatever was on its way is seen to be cut. */
	cut(): void {
		if (!this.isOpen) return;
		this.#release("the client's connection was cut");
		this.socket.resetAndDestroy();
	}

	destroy(): void {
		if (!this.isOpen) return;
		this.#release("the client left");
		this.socket.destroy();
	}

	#release(reason: string): void {
		const state = this.#state;
		this.#state = closed;
		if (state.is === "serving") state.exchange.abandon(reason);
		else if (state.is === "spliced") state.splice.cancel(reason);
		this.front.forget(this);
	}

	#letGo(): void {
		const { socket } = this;
		socket.off("data", this.#onData);
		socket.off("drain", this.#onDrain);
		socket.off("end", this.#onEnd);
		socket.off("error", this.#onGone);
		socket.off("close", this.#onGone);
		socket.pause();
		this.#state = closed;
		this.front.forget(this);
	}
}
