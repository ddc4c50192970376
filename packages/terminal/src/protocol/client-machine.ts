import {
	type ClientEffect,
	type ClientLimits,
	type ClientMachineOptions,
	clientLimits,
	type OutputMark,
	type StopReason,
} from "./client-effects.ts";
import { decodeServerFrame } from "./decode-frame.ts";
import { encodeAck, encodeHello, encodeInput, encodePing, encodeRepaint, encodeResize } from "./encode-frame.ts";
import { maxInputFrameBytes, type ServerFrame, type ViewerMode, type Welcome } from "./frames.ts";
import { TypedInput } from "./typed-input.ts";

/**
 *   idle ─ start ─► connecting ─ opened ─► greeting ─ welcome ─► live
 *                       ▲   │                 │                   │
 *                       │   └──── lost ───────┴────── lost ───────┤
 *                     retry                                       │ exit, refused, close()
 *                       │                                         ▼
 *                    waiting ◄──────────────────────           stopped
 */
type State =
	| { readonly name: "idle" }
	| { readonly name: "connecting"; readonly link: number; readonly giveUpAt: number }
	| { readonly name: "greeting"; readonly link: number; readonly giveUpAt: number }
	| { readonly name: "live"; readonly link: number; heardAt: number; ping: Ping | undefined }
	| { readonly name: "waiting"; readonly retryAt: number }
	| { readonly name: "stopped"; readonly reason: StopReason };

interface Ping {
	readonly token: number;
	readonly sentAt: number;
	giveUpAt: number;
}

/**
 * The client's side of one viewer. Does no I/O: the loop opens sockets as it says, feeds it what they do with the time
 * (milliseconds, never going back), performs `drain()` in order and calls `tick` at `deadline()`.
 */
export class TerminalClient {
	readonly #limits: ClientLimits;
	readonly #fraction: () => number;
	#state: State = { name: "idle" };
	readonly #effects: ClientEffect[] = [];
	#links = 0;
	#attempt = 0;
	#pings = 0;

	#cols: number;
	#rows: number;
	#mode: ViewerMode;

	#readOnly = false;
	#viewer: string | undefined;
	#epoch = 0;
	#received: number;
	#parsed: number;
	#acked: number;
	#ackAt: number | undefined;

	readonly #input: TypedInput;

	constructor(options: ClientMachineOptions) {
		this.#limits = { ...clientLimits, ...options.limits };
		this.#fraction = options.fraction;
		this.#cols = options.cols;
		this.#rows = options.rows;
		this.#mode = options.mode;
		this.#viewer = options.resume?.viewer;
		this.#received = options.resume?.output ?? 0;
		this.#parsed = this.#received;
		this.#acked = this.#received;
		this.#input = new TypedInput(options.resume?.input ?? 0);
	}

	get state(): State["name"] {
		return this.#state.name;
	}

	/** What a later page needs to resume this viewer, when it also keeps the screen; undefined before the first welcome. */
	get resumePoint(): { readonly viewer: string; readonly output: number; readonly input: number } | undefined {
		if (this.#viewer === undefined) return undefined;
		return { viewer: this.#viewer, output: this.#parsed, input: this.#input.acknowledged };
	}

	/** Typed bytes that the server has not acknowledged. */
	get unacknowledgedInputBytes(): number {
		return this.#input.waiting;
	}

	start(now: number): void {
		if (this.#state.name === "idle") this.#connect(now);
	}

	opened(link: number): void {
		if (this.#state.name !== "connecting" || this.#state.link !== link) return;
		this.#state = { name: "greeting", link, giveUpAt: this.#state.giveUpAt };
		this.#send(
			encodeHello({
				...(this.#viewer === undefined ? {} : { viewer: this.#viewer }),
				output: this.#received,
				input: this.#input.acknowledged,
				cols: this.#cols,
				rows: this.#rows,
				mode: this.#mode,
			}),
		);
	}

	message(link: number, bytes: Uint8Array, now: number): void {
		if ((this.#state.name !== "greeting" && this.#state.name !== "live") || this.#state.link !== link) return;
		const frame = decodeServerFrame(bytes);
		// A newer server may speak frames that this client does not know; anything else is a broken stream.
		if (frame.type === "error" && frame.code === "unknown-type") return;
		if (frame.type === "error") return this.#drop(4400, frame.message, now);
		if (this.#state.name === "greeting") {
			if (frame.type !== "welcome") return this.#drop(4400, `a ${frame.type} frame came before the welcome`, now);
			return this.#welcome(frame.welcome, link, now);
		}
		this.#state.heardAt = now;
		// Anything heard is a sign of life: on a slow line the pong stands behind a whole window of output.
		const { ping } = this.#state;
		if (ping !== undefined) ping.giveUpAt = Math.max(ping.giveUpAt, now + this.#limits.probeWithinMs);
		this.#handle(frame, now);
	}

	/**
	 * A socket closed, by whichever side.
	 * @param code the close code; 1006 or 0 when none came.
	 * @param reason the close reason: JSON `{error, message}` or text.
	 */
	closed(link: number, code: number, reason: string, now: number): void {
		if (!("link" in this.#state) || this.#state.link !== link) return;
		const message = closeMessage(reason);
		if (code >= 4400 && code <= 4499) return this.#stop({ kind: "refused", code, message });
		this.#retry(code, message, now);
	}

	/** The terminal has parsed everything up to this mark. */
	parsed(mark: OutputMark, now: number): void {
		if (mark.epoch !== this.#epoch) return;
		this.#parsed = Math.max(this.#parsed, mark.end);
		if (this.#parsed - this.#acked >= this.#limits.ackEveryBytes) this.#acknowledge();
		else if (this.#parsed > this.#acked) this.#ackAt ??= now + this.#limits.ackAfterMs;
	}

	/** Whether this viewer may type. A terminal answers queries of its own accord: those count as typing (T11). */
	get canType(): boolean {
		return !this.#readOnly && this.#mode !== "read-only";
	}

	/**
	 * @returns false, and takes nothing, when this viewer may not type, the bytes do not fit what may be unacknowledged,
	 * or the client stopped.
	 */
	type(bytes: Uint8Array): boolean {
		if (this.#state.name === "stopped" || !this.canType) return false;
		if (this.#input.waiting + bytes.length > this.#limits.maxUnacknowledgedInputBytes) return false;
		for (let at = 0; at < bytes.length; at += maxInputFrameBytes) {
			const piece = bytes.slice(at, at + maxInputFrameBytes);
			if (this.#state.name === "live") this.#send(encodeInput(this.#input.typed, piece));
			this.#input.push(piece);
		}
		return true;
	}

	resize(cols: number, rows: number, mode: ViewerMode): void {
		if (cols === this.#cols && rows === this.#rows && mode === this.#mode) return;
		this.#cols = cols;
		this.#rows = rows;
		this.#mode = mode;
		if (this.#state.name === "live") this.#send(encodeResize(cols, rows, mode));
	}

	repaint(): void {
		if (this.#state.name === "live") this.#send(encodeRepaint());
	}

	/** The page came back to the front, or the network changed: find out now whether the socket still lives. */
	probe(now: number): void {
		if (this.#state.name === "waiting") return this.#connect(now);
		if (this.#state.name === "live") this.#ping(now, this.#limits.probeWithinMs);
	}

	/** Leaves for good. */
	close(): void {
		if (this.#state.name === "stopped") return;
		if ("link" in this.#state) {
			this.#effects.push({ type: "disconnect", link: this.#state.link, code: 1000, reason: "" });
		}
		this.#stop({ kind: "closed" });
	}

	deadline(): number | undefined {
		switch (this.#state.name) {
			case "idle":
			case "stopped":
				return undefined;
			case "connecting":
			case "greeting":
				return this.#state.giveUpAt;
			case "waiting":
				return this.#state.retryAt;
			case "live": {
				const heartbeat = this.#state.ping?.giveUpAt ?? this.#state.heardAt + this.#limits.pingAfterMs;
				return this.#ackAt === undefined ? heartbeat : Math.min(heartbeat, this.#ackAt);
			}
		}
	}

	tick(now: number): void {
		const state = this.#state;
		switch (state.name) {
			case "idle":
			case "stopped":
				return;
			case "connecting":
			case "greeting":
				if (now >= state.giveUpAt) this.#drop(1000, "the machine did not answer in time", now);
				return;
			case "waiting":
				if (now >= state.retryAt) this.#connect(now);
				return;
			case "live":
				if (this.#ackAt !== undefined && now >= this.#ackAt) this.#acknowledge();
				if (state.ping !== undefined) {
					if (now >= state.ping.giveUpAt) this.#drop(1000, "the machine fell silent", now);
				} else if (now >= state.heardAt + this.#limits.pingAfterMs) {
					this.#ping(now, this.#limits.pongWithinMs);
				}
				return;
		}
	}

	/**
	 * Takes the effects that have come up, one by one, in their order. Whoever performs one may call the machine and drain
	 * again within it: what was left is taken there, before what is new.
	 */
	*drain(): Generator<ClientEffect, void, void> {
		for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) yield effect;
	}

	#welcome(welcome: Welcome, link: number, now: number): void {
		if (welcome.resumed ? welcome.viewer !== this.#viewer : false) {
			return this.#drop(4400, `asked for viewer ${this.#viewer} and was given ${welcome.viewer}`, now);
		}
		this.#state = { name: "live", link, heardAt: now, ping: undefined };
		this.#attempt = 0;
		this.#readOnly = welcome.readOnly;
		this.#effects.push({ type: "welcome", welcome });
		if (welcome.resumed) {
			// What differs from what we have was skipped for good: the reset that follows says so.
			this.#moveTo(welcome.output);
			this.#input.reached(welcome.input);
		} else {
			// Keys of minutes ago must not land in a fresh screen, where nobody expects them.
			const lost = this.#viewer === undefined ? 0 : this.#input.forget();
			if (lost > 0) this.#effects.push({ type: "input-lost", bytes: lost });
			this.#viewer = welcome.viewer;
			this.#epoch += 1;
			this.#received = welcome.output;
			this.#parsed = welcome.output;
			this.#acked = welcome.output;
			this.#input.startAt(welcome.input);
		}
		for (const { offset, bytes } of this.#input.pieces()) this.#send(encodeInput(offset, bytes));
		// The last acknowledgement may have died with the last socket, and a server at its window waits for it.
		if (welcome.resumed) this.#acknowledge();
		this.#ping(now, this.#limits.pongWithinMs);
	}

	#handle(frame: ServerFrame, now: number): void {
		switch (frame.type) {
			case "welcome":
				return this.#drop(4400, "a second welcome on one socket", now);
			case "output":
				if (frame.offset !== this.#received) {
					return this.#drop(4400, `output jumps from byte ${this.#received} to ${frame.offset}`, now);
				}
				this.#received += frame.bytes.length;
				this.#effects.push({ type: "write", bytes: frame.bytes, mark: { epoch: this.#epoch, end: this.#received } });
				return;
			case "reset":
				this.#moveTo(frame.reset.output);
				this.#effects.push({ type: "reset", reset: frame.reset });
				return;
			case "input-ack":
				if (frame.input > this.#input.typed) {
					return this.#drop(4400, `${frame.input} input bytes acknowledged of ${this.#input.typed} typed`, now);
				}
				return this.#input.reached(frame.input);
			case "event":
				this.#effects.push({ type: "event", event: frame.event });
				return;
			case "exit": {
				const link = "link" in this.#state ? this.#state.link : 0;
				this.#effects.push({ type: "disconnect", link, code: 1000, reason: "" });
				return this.#stop({ kind: "exit", reason: frame.reason });
			}
			case "pong":
				if (this.#state.name !== "live" || this.#state.ping?.token !== frame.token) return;
				this.#effects.push({ type: "round-trip", ms: now - this.#state.ping.sentAt });
				this.#state.ping = undefined;
				return;
		}
	}

	/** Output goes on at another offset; marks of before mean nothing any more. */
	#moveTo(output: number): void {
		if (output === this.#received) return;
		this.#epoch += 1;
		this.#received = output;
		this.#parsed = output;
		this.#acked = output;
		this.#ackAt = undefined;
	}

	#acknowledge(): void {
		this.#ackAt = undefined;
		if (this.#state.name !== "live") return;
		this.#acked = this.#parsed;
		this.#send(encodeAck(this.#parsed));
	}

	#ping(now: number, withinMs: number): void {
		if (this.#state.name !== "live") return;
		this.#pings = (this.#pings + 1) % 2 ** 32;
		this.#state.ping = { token: this.#pings, sentAt: now, giveUpAt: now + withinMs };
		this.#send(encodePing(this.#pings));
	}

	#connect(now: number): void {
		this.#links += 1;
		this.#state = { name: "connecting", link: this.#links, giveUpAt: now + this.#limits.connectMs };
		this.#effects.push({ type: "connect", link: this.#links });
	}

	/** Gives the socket up from this side. */
	#drop(code: number, message: string, now: number): void {
		if (!("link" in this.#state)) return;
		this.#effects.push({
			type: "disconnect",
			link: this.#state.link,
			code: code === 4400 ? 4400 : 1000,
			reason: message,
		});
		this.#retry(0, message, now);
	}

	#retry(code: number, message: string, now: number): void {
		const { firstRetryMs, maxRetryMs } = this.#limits;
		const ceiling = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(this.#attempt, 30));
		const retryMs = ceiling * (0.1 + 0.9 * this.#fraction());
		this.#attempt += 1;
		this.#ackAt = undefined;
		this.#state = { name: "waiting", retryAt: now + retryMs };
		this.#effects.push({ type: "lost", code, message, retryMs });
	}

	#stop(reason: StopReason): void {
		// A live socket was given everything; what waits for another one is sent by nobody now.
		const lost = this.#state.name === "live" ? 0 : this.#input.forget();
		if (lost > 0) this.#effects.push({ type: "input-lost", bytes: lost });
		this.#state = { name: "stopped", reason };
		this.#ackAt = undefined;
		this.#effects.push({ type: "stopped", reason });
	}

	#send(bytes: Uint8Array): void {
		if ("link" in this.#state) this.#effects.push({ type: "send", link: this.#state.link, bytes });
	}
}

function closeMessage(reason: string): string {
	try {
		const { message } = JSON.parse(reason) as { message?: unknown };
		if (typeof message === "string") return message;
	} catch {
		// Not our JSON, or cut at 123 bytes: the text as it is says more than nothing.
	}
	return reason;
}
