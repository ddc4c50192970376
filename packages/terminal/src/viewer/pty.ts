import { createRequire } from "node:module";
import type { ReadStream } from "node:tty";
import type * as NodePty from "@lydell/node-pty";

/** Loaded with the first terminal: where no binary fits the system, everything but terminals still works. */
function nodePty(): typeof NodePty {
	return createRequire(import.meta.url)("@lydell/node-pty");
}

export interface PtyOptions {
	readonly program: string;
	readonly args: readonly string[];
	readonly environment: Readonly<Record<string, string>>;
	readonly cols: number;
	readonly rows: number;
}

export interface PtyHandlers {
	readonly output: (bytes: Uint8Array) => void;
	/** After the last output. Not called once `close` was. */
	readonly exit: () => void;
}

/** A program on a pseudo-terminal, in bytes both ways. */
export class Pty {
	readonly #pty: NodePty.IPty;
	/** The library writes here without saying when it is done, which input's bound needs to know. */
	readonly #socket: ReadStream;
	#closed = false;

	/** @throws Error when the machine has no terminal or process to give. */
	constructor(options: PtyOptions, handlers: PtyHandlers) {
		this.#pty = nodePty().spawn(options.program, [...options.args], {
			name: "xterm-256color",
			cols: options.cols,
			rows: options.rows,
			cwd: "/",
			env: { ...options.environment },
			// Bytes: a character may be cut anywhere.
			encoding: null,
		});
		this.#socket = (this.#pty as unknown as { readonly _socket: ReadStream })._socket;
		this.#pty.onData((data: unknown) => {
			if (!this.#closed) handlers.output(data as Uint8Array);
		});
		this.#pty.onExit(() => {
			if (!this.#closed) handlers.exit();
			this.#closed = true;
		});
	}

	get pid(): number {
		return this.#pty.pid;
	}

	/** @param taken called once the program's side has the bytes; never when it ends before. */
	write(bytes: Uint8Array, taken: () => void): void {
		if (this.#closed) return;
		this.#socket.write(bytes, (fault) => {
			if (!fault && !this.#closed) taken();
		});
	}

	resize(cols: number, rows: number): void {
		if (this.#closed || (this.#pty.cols === cols && this.#pty.rows === rows)) return;
		try {
			this.#pty.resize(cols, rows);
		} catch {
			// It has just ended: its exit is on its way.
		}
	}

	pause(): void {
		if (!this.#closed) this.#pty.pause();
	}

	resume(): void {
		if (!this.#closed) this.#pty.resume();
	}

	/** Hangs up. Safe to call twice. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		(this.#pty as unknown as { destroy(): void }).destroy();
	}
}
