import type { Clock, Timer } from "@warren/kernel";
import type { WebSocketConnection } from "@warren/net";
import { type ExitReason, type Hello, type ViewerEvent, type ViewerMode, ViewerStream } from "../protocol/index.ts";
import type { SessionNumber } from "../tmux/rows.ts";
import type { TmuxServer } from "../tmux/tmux-server.ts";
import { closeReason } from "./close-reason.ts";
import { Pty } from "./pty.ts";

export interface ViewerDeps {
	readonly clock: Clock;
	readonly server: TmuxServer;
	/** Why the attachment ended, asked once it has. */
	readonly exitReason: () => Promise<ExitReason>;
	/** The PTY is released and nobody can come back. */
	readonly onGone: () => void;
}

export interface ViewerOptions {
	readonly id: string;
	/** Who may resume it: `describeIdentity` of whoever opened it. */
	readonly owner: string;
	readonly session: { readonly id: string; readonly name: string; readonly number: SessionNumber };
	/** By a share: tmux itself refuses its keys, too. */
	readonly readOnly: boolean;
}

/** Between two redraws of one viewer: each is two runs of tmux, and anybody with a share may ask for them. */
export const redrawPauseMs = 250;

interface Size {
	readonly cols: number;
	readonly rows: number;
}

/**
 * One viewer: a `tmux attach` in a PTY and the stream machine that numbers its bytes. Only performs effects: every
 * decision is the machine's.
 */
export class Viewer {
	readonly id: string;
	readonly owner: string;
	readonly session: ViewerOptions["session"];
	readonly readOnly: boolean;
	readonly #deps: ViewerDeps;
	readonly #stream: ViewerStream;
	readonly #connections = new Map<number, WebSocketConnection>();
	#links = 0;
	#pty: Pty | undefined;
	#timer: Timer | undefined;
	#timerAt: number | undefined;
	/** What a client of this session needs to show its window whole. */
	#windowSize: Size;
	#own: Size & { readonly mode: ViewerMode };
	#ignoresSize = false;
	/**
	 * Typed before tmux has shown anything, null once it has: until then the PTY still edits lines and echoes, and what
	 * tmux finds there when it takes over may be gone.
	 */
	#early: Uint8Array[] | null = [];
	#paused = false;
	/** `again`: wanted anew while one was under way, or just after it. */
	#redraw: "none" | "recent" | "again" = "none";
	#redrawTimer: Timer | undefined;
	#released = false;

	constructor(deps: ViewerDeps, options: ViewerOptions, windowSize: Size) {
		this.#deps = deps;
		this.id = options.id;
		this.owner = options.owner;
		this.session = options.session;
		this.readOnly = options.readOnly;
		this.#windowSize = windowSize;
		this.#own = { ...windowSize, mode: "fit" };
		this.#stream = new ViewerStream({ viewer: options.id, session: options.session, readOnly: options.readOnly });
	}

	/** Whether a socket is there now. */
	get live(): boolean {
		return this.#stream.live;
	}

	/**
	 * A socket said hello for this viewer.
	 * @throws Error when no PTY can be had; the viewer is gone then.
	 */
	connect(connection: WebSocketConnection, hello: Hello, windowSize: Size): void {
		this.#links += 1;
		const link = this.#links;
		this.#windowSize = windowSize;
		this.#connections.set(link, connection);
		connection.onMessage((data, binary) => {
			if (binary) this.#stream.receive(link, data, this.#now());
			else this.#stream.receive(link, noFrame, this.#now());
			this.#perform();
		});
		connection.onClose(() => {
			this.#connections.delete(link);
			this.#stream.socketClosed(link, this.#now());
			this.#perform();
		});
		const fits = hello.mode === "fit" && !this.readOnly;
		this.#stream.open(link, hello, fits ? { cols: hello.cols, rows: hello.rows } : windowSize, this.#now());
		this.#perform();
	}

	/** The session's window took another size, or name. */
	windowResized(size: Size): void {
		this.#windowSize = size;
		this.#applySize();
		this.event({ type: "size", ...size });
	}

	event(event: ViewerEvent): void {
		this.#stream.event(event);
		this.#perform();
	}

	/** Closes the socket for good and releases the PTY: a revoked share or device, a stopping node. */
	end(code: number, error: string, message: string): void {
		this.#stream.disconnect(code, error, message, this.#now());
		this.#perform();
		this.#release();
	}

	#now(): number {
		return this.#deps.clock.monotonic();
	}

	#perform(): void {
		for (const effect of this.#stream.drain()) {
			switch (effect.type) {
				case "send":
					this.#connections.get(effect.link)?.send(effect.bytes);
					break;
				case "close":
					void this.#connections.get(effect.link)?.close(effect.code, closeReason(effect.error, effect.message));
					this.#connections.delete(effect.link);
					break;
				case "write":
					this.#write(effect.bytes);
					break;
				case "resize":
					this.#own = { cols: effect.cols, rows: effect.rows, mode: effect.mode };
					if (this.#pty === undefined) this.#attach();
					else this.#applySize();
					break;
				case "pause":
					this.#paused = true;
					this.#pty?.pause();
					break;
				case "resume":
					this.#paused = false;
					this.#pty?.resume();
					break;
				case "repaint":
					void this.#repaint();
					break;
				case "reattach":
					this.#pty?.close();
					this.#paused = false;
					this.#attach();
					break;
				case "expire":
					this.#release();
					return;
			}
		}
		this.#arm();
	}

	#attach(): void {
		const { server } = this.#deps;
		const size = this.#ptySize();
		this.#ignoresSize = this.#own.mode !== "fit";
		const flags = this.readOnly ? ["-f", "read-only,ignore-size"] : this.#ignoresSize ? ["-f", "ignore-size"] : [];
		const args = [...server.clientArguments, "attach-session", "-E", ...flags, "-t", this.session.number];
		let pty: Pty;
		try {
			pty = new Pty(
				{ program: server.program, args, environment: server.environment, ...size },
				{
					output: (bytes) => {
						if (this.#pty !== pty) return;
						if (this.#early !== null) this.#takeEarly();
						this.#stream.output(bytes, this.#now());
						this.#perform();
					},
					exit: () => {
						if (this.#pty === pty) void this.#exited();
					},
				},
			);
		} catch (thrown) {
			this.#release();
			throw thrown;
		}
		this.#pty = pty;
		this.#early = [];
		if (this.#paused) pty.pause();
	}

	/** However often it is asked for meanwhile, it comes once more. */
	async #repaint(): Promise<void> {
		if (this.#pty === undefined) return;
		if (this.#redraw !== "none") {
			this.#redraw = "again";
			return;
		}
		this.#redraw = "recent";
		await this.#deps.server.repaint(this.#pty.pid).catch(ignored);
		if (this.#released) return;
		this.#redrawTimer = this.#deps.clock.after(redrawPauseMs, () => {
			const isWanted = this.#redraw === "again";
			this.#redraw = "none";
			if (isWanted) void this.#repaint();
		});
	}

	async #exited(): Promise<void> {
		const reason = await this.#deps.exitReason();
		this.#stream.exited(reason, this.#now());
		this.#perform();
	}

	#write(bytes: Uint8Array): void {
		// A copy: the message that the bytes lie in is only valid during its handler.
		const copy = bytes.slice();
		if (this.#early === null) this.#hand(copy);
		else this.#early.push(copy);
	}

	#takeEarly(): void {
		const early = this.#early ?? [];
		this.#early = null;
		for (const bytes of early) this.#hand(bytes);
	}

	#hand(bytes: Uint8Array): void {
		this.#pty?.write(bytes, () => {
			this.#stream.inputWritten(bytes.length, this.#now());
			this.#perform();
		});
	}

	#ptySize(): Size {
		return this.#own.mode === "fit" ? { cols: this.#own.cols, rows: this.#own.rows } : this.#windowSize;
	}

	#applySize(): void {
		const pty = this.#pty;
		if (pty === undefined) return;
		const { cols, rows } = this.#ptySize();
		pty.resize(cols, rows);
		const ignores = this.#own.mode !== "fit";
		if (ignores === this.#ignoresSize || this.readOnly) return;
		this.#ignoresSize = ignores;
		void this.#deps.server.setClientIgnoresSize(pty.pid, ignores).catch(ignored);
	}

	#arm(): void {
		// The socket's own close comes after the end.
		if (this.#released) return;
		const at = this.#stream.deadline();
		if (at === this.#timerAt) return;
		this.#timer?.cancel();
		this.#timerAt = at;
		this.#timer = undefined;
		if (at === undefined) return;
		this.#timer = this.#deps.clock.after(Math.max(0, at - this.#now()), () => {
			this.#timerAt = undefined;
			this.#stream.tick(this.#now());
			this.#perform();
		});
	}

	#release(): void {
		this.#released = true;
		this.#timer?.cancel();
		this.#timer = undefined;
		this.#timerAt = undefined;
		this.#redrawTimer?.cancel();
		this.#pty?.close();
		this.#pty = undefined;
		this.#deps.onGone();
	}
}

/** Text is no frame of this protocol: read as the empty message, it closes 4400. */
const noFrame = new Uint8Array(0);

/** A tmux that went away while we asked: the viewer's own exit tells it. */
function ignored(): void {}
