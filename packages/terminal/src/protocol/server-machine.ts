import { ByteRing } from "./byte-ring.ts";
import { decodeClientFrame } from "./decode-frame.ts";
import {
	allocateOutput,
	encodeEvent,
	encodeExit,
	encodeInputAck,
	encodePong,
	encodeReset,
	encodeWelcome,
	outputHeaderBytes,
} from "./encode-frame.ts";
import {
	type ClientFrame,
	type ExitReason,
	type Hello,
	maxOutputFrameBytes,
	type ResetReason,
	type ViewerEvent,
	type ViewerMode,
} from "./frames.ts";

/** How long a fresh socket may take to say hello (T1). The loop that reads it keeps this time. */
export const helloTimeoutMs = 10_000;

export interface StreamLimits {
	/** Unacknowledged output at first (T4). */
	readonly windowBytes: number;
	/** Unacknowledged output at most, on long round trips (T4). */
	readonly maxWindowBytes: number;
	/** The round trip that `windowBytes` is enough for; the window grows in proportion above it. */
	readonly windowRoundTripMs: number;
	/** Output kept for resuming (T7). */
	readonly ringBytes: number;
	/** How long output is gathered under flow (T10). */
	readonly gatherMs: number;
	/** Input that the terminal has not taken (T14). */
	readonly maxPendingInputBytes: number;
	/** How long a viewer outlives its socket (T6). */
	readonly holdMs: number;
}

export const streamLimits: StreamLimits = {
	windowBytes: 256 * 1024,
	maxWindowBytes: 1024 * 1024,
	windowRoundTripMs: 25,
	ringBytes: 2 * 1024 * 1024,
	gatherMs: 5,
	maxPendingInputBytes: 1024 * 1024,
	holdMs: 60_000,
};

/** What the loop must do, in order. `link` names the socket, as the loop numbered it in `open`. */
export type ViewerEffect =
	| { readonly type: "send"; readonly link: number; readonly bytes: Uint8Array }
	| {
			readonly type: "close";
			readonly link: number;
			readonly code: number;
			readonly error: string;
			readonly message: string;
	  }
	/** Give these bytes to the PTY, then call `inputWritten` with their count. */
	| { readonly type: "write"; readonly bytes: Uint8Array }
	/** The viewer's own size and mode; what the PTY's size becomes is the session's matter (T12). */
	| { readonly type: "resize"; readonly cols: number; readonly rows: number; readonly mode: ViewerMode }
	| { readonly type: "pause" }
	| { readonly type: "resume" }
	| { readonly type: "repaint" }
	/** Replace the PTY by a fresh attachment; bytes of the old one must not come any more (T7). */
	| { readonly type: "reattach" }
	/** Nobody came back in time, or the exit was delivered: release the PTY and forget this viewer. */
	| { readonly type: "expire" };

export interface ViewerStreamOptions {
	/** The identifier that a client resumes by. A secret of this viewer's owner in all but name: make it unguessable. */
	readonly viewer: string;
	readonly session: { readonly id: string; readonly name: string };
	/** Held by a share: no mode of the client lifts it. */
	readonly readOnly: boolean;
	readonly limits?: Partial<StreamLimits>;
}

/**
 *              open                    socketClosed, close
 *   (new) ───────────────► live ◄────────────────────────► held ──── holdMs ────► expired
 *                           │              open             │                        ▲
 *                           └───────────── exit delivered ──┴────────────────────────┘
 */
type State =
	| { readonly name: "live"; readonly link: number; welcomedAt: number | undefined }
	| { readonly name: "held"; readonly until: number }
	| { readonly name: "expired" };

/**
 * The server's side of one viewer: numbers and keeps the PTY's output, sends it within the window, takes the input once,
 * and survives the loss of its socket. Does no I/O: the loop feeds it bytes and times (milliseconds, never going back),
 * then performs `drain()` in order and calls `tick` at `deadline()`.
 */
export class ViewerStream {
	readonly viewer: string;
	readonly #limits: StreamLimits;
	readonly #readOnly: boolean;
	readonly #ring: ByteRing;
	#session: { readonly id: string; readonly name: string };
	#state: State = { name: "held", until: Number.POSITIVE_INFINITY };
	readonly #effects: ViewerEffect[] = [];
	#mode: ViewerMode = "fit";

	#acked = 0;
	#sent = 0;
	#paused = false;
	#window: number;
	#flushedAt = Number.NEGATIVE_INFINITY;
	#flushAt: number | undefined;

	#inputTaken = 0;
	#inputWritten = 0;
	#inputAcked = 0;

	#exit: ExitReason | undefined;

	constructor(options: ViewerStreamOptions) {
		this.viewer = options.viewer;
		this.#session = options.session;
		this.#readOnly = options.readOnly;
		this.#limits = { ...streamLimits, ...options.limits };
		this.#window = this.#limits.windowBytes;
		this.#ring = new ByteRing(this.#limits.ringBytes);
	}

	get live(): boolean {
		return this.#state.name === "live";
	}

	/** Released: its `expire` effect was given, and no socket can come back to it. */
	get expired(): boolean {
		return this.#state.name === "expired";
	}

	get mode(): ViewerMode {
		return this.#mode;
	}

	/** Whether this viewer may type: neither a share nor in read-only mode (T11). */
	get canType(): boolean {
		return !this.#readOnly && this.#mode !== "read-only";
	}

	/**
	 * A socket said hello for this viewer: a new one, a resume (T6) or a takeover (T9).
	 * @param size the terminal's size as it is now, for the welcome.
	 */
	open(link: number, hello: Hello, size: { readonly cols: number; readonly rows: number }, now: number): void {
		if (this.#state.name === "expired") return;
		const resumed = hello.viewer === this.viewer;
		if (resumed && hello.output > this.#ring.end) {
			return this.#refuse(link, `hello's output ${hello.output} is beyond the ${this.#ring.end} bytes there are`);
		}
		if (resumed && hello.input > this.#inputTaken) {
			return this.#refuse(link, `hello's input ${hello.input} is beyond the ${this.#inputTaken} bytes received`);
		}
		if (this.#state.name === "live" && this.#state.link !== link) {
			this.#close(this.#state.link, 4409, "replaced", "this viewer was resumed by a newer connection", now);
		}
		this.#mode = this.#readOnly ? "read-only" : hello.mode;
		this.#state = { name: "live", link, welcomedAt: now };
		const missed = resumed ? this.#ring.start - hello.output : 0;
		const output = missed > 0 ? this.#ring.end : resumed ? hello.output : this.#ring.start;
		this.#send(
			encodeWelcome({
				viewer: this.viewer,
				session: this.#session,
				output,
				input: this.#inputTaken,
				resumed,
				readOnly: this.#readOnly,
				cols: size.cols,
				rows: size.rows,
				mode: this.#mode,
				windowBytes: this.#window,
			}),
		);
		this.#inputAcked = this.#inputTaken;
		this.#effects.push({ type: "resize", cols: hello.cols, rows: hello.rows, mode: this.#mode });
		if (!resumed && hello.viewer !== undefined) this.#reset("reattached", null);
		else if (missed > 0) this.#startOver("too-old", this.#ring.end - hello.output);
		else {
			this.#sent = output;
			this.#acked = Math.min(Math.max(this.#acked, this.#ring.start), output);
		}
		this.#flush(now);
		this.#finish();
	}

	/** A message of a socket. Messages of sockets that were replaced are ignored. */
	receive(link: number, message: Uint8Array, now: number): void {
		if (this.#state.name !== "live" || this.#state.link !== link) return;
		if (this.#state.welcomedAt !== undefined) {
			this.#growWindow(now - this.#state.welcomedAt);
			this.#state.welcomedAt = undefined;
		}
		const frame = decodeClientFrame(message);
		if (frame.type === "error") return this.#close(link, 4400, "bad_request", frame.message, now);
		this.#handle(link, frame, now);
	}

	/** The socket is gone; the viewer is held (T6). */
	socketClosed(link: number, now: number): void {
		if (this.#state.name !== "live" || this.#state.link !== link) return;
		this.#hold(now);
	}

	/** The PTY gave bytes. May still come for a moment after `pause`. */
	output(bytes: Uint8Array, now: number): void {
		if (this.#state.name === "expired" || this.#exit !== undefined) return;
		this.#ring.append(bytes);
		if (this.#ring.start > this.#sent) return this.#startOver("overrun", this.#ring.end - this.#sent);
		this.#pump(now);
	}

	/** The PTY took `count` bytes of input. */
	inputWritten(count: number, now: number): void {
		this.#inputWritten += count;
		if (this.#state.name !== "live") return;
		this.#flushAt ??= now + this.#limits.gatherMs;
	}

	/** Tells the client something beside the screen's bytes. Lost while no socket is there. */
	event(event: ViewerEvent): void {
		if (event.type === "renamed") this.#session = { ...this.#session, name: event.name };
		if (this.live) this.#send(encodeEvent(event));
	}

	/** The attachment ended. Its last output is delivered first, after a resume if need be. */
	exited(reason: ExitReason, now: number): void {
		if (this.#state.name === "expired" || this.#exit !== undefined) return;
		this.#exit = reason;
		this.#flush(now);
		this.#finish();
	}

	/** Closes this viewer's socket for a reason of the service: a revoked share, a drain. The viewer is held. */
	disconnect(code: number, error: string, message: string, now: number): void {
		if (this.#state.name === "live") this.#close(this.#state.link, code, error, message, now);
	}

	/** When `tick` is due, in the times of `now`; undefined = never. */
	deadline(): number | undefined {
		switch (this.#state.name) {
			case "live":
				return this.#flushAt;
			case "held":
				return this.#state.until === Number.POSITIVE_INFINITY ? undefined : this.#state.until;
			case "expired":
				return undefined;
		}
	}

	tick(now: number): void {
		if (this.#state.name === "held" && now >= this.#state.until) return this.#expire();
		if (this.#flushAt !== undefined && now >= this.#flushAt) this.#flush(now);
	}

	/**
	 * Takes the effects that have come up, one by one, in their order. Whoever performs one may call the machine and drain
	 * again within it: what was left is taken there, before what is new.
	 */
	*drain(): Generator<ViewerEffect, void, void> {
		for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) yield effect;
	}

	#handle(link: number, frame: ClientFrame, now: number): void {
		switch (frame.type) {
			case "hello":
				return this.#close(link, 4400, "bad_request", "a second hello on one socket", now);
			case "input":
				return this.#input(link, frame.offset, frame.bytes, now);
			case "ack":
				if (frame.output > this.#sent) {
					const message = `acknowledged ${frame.output} output bytes of ${this.#sent} sent`;
					return this.#close(link, 4400, "bad_request", message, now);
				}
				this.#acked = Math.max(this.#acked, frame.output);
				return this.#pump(now);
			case "resize":
				this.#mode = this.#readOnly ? "read-only" : frame.mode;
				this.#effects.push({ type: "resize", cols: frame.cols, rows: frame.rows, mode: this.#mode });
				return;
			case "repaint":
				this.#effects.push({ type: "repaint" });
				return;
			case "ping":
				this.#send(encodePong(frame.token));
				return;
		}
	}

	#input(link: number, offset: number, bytes: Uint8Array, now: number): void {
		if (!this.canType) return this.#close(link, 4403, "forbidden", "this viewer is read-only: it may not type", now);
		if (offset > this.#inputTaken) {
			const message = `input jumps from byte ${this.#inputTaken} to ${offset}`;
			return this.#close(link, 4400, "bad_request", message, now);
		}
		const fresh = bytes.subarray(Math.min(bytes.length, this.#inputTaken - offset));
		if (this.#inputTaken + fresh.length - this.#inputWritten > this.#limits.maxPendingInputBytes) {
			return this.#close(link, 1013, "input_stalled", "the program does not read its input: wait or stop it", now);
		}
		if (fresh.length === 0) return;
		this.#inputTaken += fresh.length;
		this.#effects.push({ type: "write", bytes: fresh });
	}

	/** Sends what is due, or sets the time for it (T10), and opens or shuts the PTY (T4). */
	#pump(now: number): void {
		if (this.live) {
			const pending = this.#ring.end - this.#sent;
			const room = this.#window - (this.#sent - this.#acked);
			if (pending > 0 && room > 0) {
				if (pending >= maxOutputFrameBytes || now - this.#flushedAt >= this.#limits.gatherMs) this.#flush(now);
				else this.#flushAt ??= this.#flushedAt + this.#limits.gatherMs;
			}
		}
		this.#throttle();
		this.#finish();
	}

	#flush(now: number): void {
		if (this.#state.name !== "live") return;
		this.#flushAt = undefined;
		while (this.#sent < this.#ring.end) {
			const room = this.#window - (this.#sent - this.#acked);
			if (room <= 0) break;
			const length = Math.min(room, maxOutputFrameBytes, this.#ring.end - this.#sent);
			const message = allocateOutput(this.#sent, length);
			this.#ring.copy(this.#sent, this.#sent + length, message, outputHeaderBytes);
			this.#send(message);
			this.#sent += length;
			this.#flushedAt = now;
		}
		if (this.#inputWritten > this.#inputAcked) {
			this.#inputAcked = this.#inputWritten;
			this.#send(encodeInputAck(this.#inputWritten));
		}
		this.#throttle();
	}

	/** Reading stops at the window and goes on at half of it: in between, the client works off what it has. */
	#throttle(): void {
		const unacknowledged = this.#ring.end - this.#acked;
		if (!this.#paused && unacknowledged >= this.#window) {
			this.#paused = true;
			this.#effects.push({ type: "pause" });
		} else if (this.#paused && unacknowledged <= this.#window / 2) {
			this.#paused = false;
			this.#effects.push({ type: "resume" });
		}
	}

	/** What the client has is no longer a beginning of what there is: a fresh attachment and a cleared screen (T7). */
	#startOver(reason: ResetReason, missedBytes: number): void {
		this.#effects.push({ type: "reattach" });
		this.#ring.clear();
		this.#sent = this.#ring.end;
		this.#acked = this.#ring.end;
		this.#flushAt = undefined;
		if (this.live) this.#reset(reason, missedBytes);
		this.#throttle();
	}

	#reset(reason: ResetReason, missedBytes: number | null): void {
		this.#send(encodeReset({ output: this.#sent, reason, missedBytes }));
	}

	#finish(): void {
		if (this.#exit === undefined || this.#state.name !== "live" || this.#sent < this.#ring.end) return;
		const { link } = this.#state;
		this.#send(encodeExit(this.#exit));
		this.#effects.push({ type: "close", link, code: 1000, error: "exit", message: this.#exit });
		this.#expire();
	}

	/** A client answers its welcome at once (T15): nothing of ours stands in the way of that round trip. */
	#growWindow(roundTripMs: number): void {
		const { windowBytes, maxWindowBytes, windowRoundTripMs } = this.#limits;
		const fitting = Math.floor(windowBytes * Math.max(1, roundTripMs / windowRoundTripMs));
		this.#window = Math.max(this.#window, Math.min(maxWindowBytes, fitting));
	}

	#send(bytes: Uint8Array): void {
		if (this.#state.name === "live") this.#effects.push({ type: "send", link: this.#state.link, bytes });
	}

	/** A socket whose hello makes no sense: nothing of the viewer changes for it. */
	#refuse(link: number, message: string): void {
		this.#effects.push({ type: "close", link, code: 4400, error: "bad_request", message });
	}

	#close(link: number, code: number, error: string, message: string, now: number): void {
		this.#effects.push({ type: "close", link, code, error, message });
		this.#hold(now);
	}

	#hold(now: number): void {
		this.#state = { name: "held", until: now + this.#limits.holdMs };
		this.#flushAt = undefined;
	}

	#expire(): void {
		this.#state = { name: "expired" };
		this.#flushAt = undefined;
		this.#effects.push({ type: "expire" });
	}
}
