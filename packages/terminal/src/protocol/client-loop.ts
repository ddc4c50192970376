import type { ClientEffect, ClientMachineOptions } from "./client-effects.ts";
import { TerminalClient } from "./client-machine.ts";
import type { ViewerMode } from "./frames.ts";

/** A WebSocket as the loop needs it: a browser's or a library's. */
export interface ClientSocket {
	send(bytes: Uint8Array): void;
	/** No handler may be called any more. */
	close(code: number, reason: string): void;
}

export interface ClientSocketHandlers {
	readonly opened: () => void;
	readonly message: (bytes: Uint8Array) => void;
	/** Also for sockets that never opened. @param code 1006 when no close frame came. */
	readonly closed: (code: number, reason: string) => void;
}

/** What the page shows: everything that is not bytes for the terminal. */
export type ClientNotice = Exclude<ClientEffect, { readonly type: "connect" | "send" | "disconnect" | "write" }>;

export interface ClientLoopDeps {
	/** Milliseconds that never go back. */
	readonly monotonic: () => number;
	readonly after: (delayMs: number, action: () => void) => { cancel(): void };
	readonly openSocket: (handlers: ClientSocketHandlers) => ClientSocket;
	/** Writes to the terminal, in order; `parsed` once it is through (xterm.js: `terminal.write(bytes, parsed)`). */
	readonly write: (bytes: Uint8Array, parsed: () => void) => void;
	readonly notice: (notice: ClientNotice) => void;
}

/** The thin loop around `TerminalClient`: performs its effects, arms one timer. Nothing is decided here. */
export class TerminalClientLoop {
	readonly #deps: ClientLoopDeps;
	readonly #machine: TerminalClient;
	#socket: { readonly link: number; readonly socket: ClientSocket } | undefined;
	#timer: { cancel(): void } | undefined;
	#timerAt: number | undefined;

	constructor(deps: ClientLoopDeps, options: ClientMachineOptions) {
		this.#deps = deps;
		this.#machine = new TerminalClient(options);
	}

	get state(): TerminalClient["state"] {
		return this.#machine.state;
	}

	get canType(): boolean {
		return this.#machine.canType;
	}

	get resumePoint(): TerminalClient["resumePoint"] {
		return this.#machine.resumePoint;
	}

	get unacknowledgedInputBytes(): number {
		return this.#machine.unacknowledgedInputBytes;
	}

	start(): void {
		this.#machine.start(this.#deps.monotonic());
		this.#perform();
	}

	/** @returns false when nothing was taken: see `TerminalClient.type`. */
	type(bytes: Uint8Array): boolean {
		const taken = this.#machine.type(bytes);
		this.#perform();
		return taken;
	}

	resize(cols: number, rows: number, mode: ViewerMode): void {
		this.#machine.resize(cols, rows, mode);
		this.#perform();
	}

	repaint(): void {
		this.#machine.repaint();
		this.#perform();
	}

	/** The page came back to the front, or the network changed. */
	probe(): void {
		this.#machine.probe(this.#deps.monotonic());
		this.#perform();
	}

	/** Leaves for good. Safe to call twice. */
	close(): void {
		this.#machine.close();
		this.#perform();
	}

	#perform(): void {
		for (const effect of this.#machine.drain()) {
			switch (effect.type) {
				case "connect":
					this.#connect(effect.link);
					break;
				case "send":
					if (this.#socket?.link === effect.link) this.#socket.socket.send(effect.bytes);
					break;
				case "disconnect":
					if (this.#socket?.link === effect.link) {
						const { socket } = this.#socket;
						this.#socket = undefined;
						socket.close(effect.code, effect.reason);
					}
					break;
				case "write":
					this.#deps.write(effect.bytes, () => {
						this.#machine.parsed(effect.mark, this.#deps.monotonic());
						this.#perform();
					});
					break;
				case "reset":
					// As bytes, so that it stays behind what was written before: RIS, a full reset.
					this.#deps.write(fullReset, () => {});
					this.#deps.notice(effect);
					break;
				default:
					this.#deps.notice(effect);
			}
		}
		this.#arm();
	}

	#connect(link: number): void {
		const now = this.#deps.monotonic;
		const handle = (act: () => void) => {
			if (this.#socket?.link !== link) return;
			act();
			this.#perform();
		};
		const socket = this.#deps.openSocket({
			opened: () => handle(() => this.#machine.opened(link)),
			message: (bytes) => handle(() => this.#machine.message(link, bytes, now())),
			closed: (code, reason) =>
				handle(() => {
					this.#socket = undefined;
					this.#machine.closed(link, code, reason, now());
				}),
		});
		this.#socket = { link, socket };
	}

	#arm(): void {
		const at = this.#machine.deadline();
		if (at === this.#timerAt) return;
		this.#timer?.cancel();
		this.#timer = undefined;
		this.#timerAt = at;
		if (at === undefined) return;
		this.#timer = this.#deps.after(Math.max(0, at - this.#deps.monotonic()), () => {
			this.#timerAt = undefined;
			this.#machine.tick(this.#deps.monotonic());
			this.#perform();
		});
	}
}

const fullReset = new Uint8Array([0x1b, 0x63]);
