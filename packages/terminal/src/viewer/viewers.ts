import { type Clock, closeCodes, messageOf, newSecret, type Random } from "@warren/kernel";
import type { WebSocketConnection } from "@warren/net";
import { decodeClientFrame, type ExitReason, type Hello, helloTimeoutMs } from "../protocol/index.ts";
import type { SessionNumber } from "../tmux/rows.ts";
import type { TmuxServer } from "../tmux/tmux-server.ts";
import { closeReason } from "./close-reason.ts";
import { Viewer } from "./viewer.ts";

export const viewersLimits = {
	/** Viewers of this node, those that are held included. Each has a PTY and up to 2 MiB of output. */
	maxViewers: 128,
	/** Of those, by shares: whoever was shown one session must not keep its owner out. */
	maxSharedViewers: 64,
} as const;

/** The session that a socket wants to see. */
export interface ViewTarget {
	readonly id: string;
	readonly name: string;
	readonly number: SessionNumber;
	readonly server: TmuxServer;
	readonly cols: number;
	readonly rows: number;
}

export interface ViewRequest {
	/** Null: the session is gone, and only a viewer that is held may still tell its end. */
	readonly target: ViewTarget | null;
	readonly sessionId: string;
	readonly owner: string;
	/** By a share. */
	readonly readOnly: boolean;
}

export interface ViewersDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly exitReason: (target: ViewTarget) => Promise<ExitReason>;
}

/** All viewers of this node, those that wait for their socket to come back included. */
export class Viewers {
	readonly #deps: ViewersDeps;
	readonly #viewers = new Map<string, Viewer>();

	constructor(deps: ViewersDeps) {
		this.#deps = deps;
	}

	/** Waits for the socket's hello (T1), then gives it a new viewer or its old one. */
	admit(connection: WebSocketConnection, request: ViewRequest): void {
		let waiting = true;
		const refuse = (code: number, error: string, message: string) => {
			waiting = false;
			timeout.cancel();
			void connection.close(code, closeReason(error, message));
		};
		const timeout = this.#deps.clock.after(helloTimeoutMs, () => {
			if (waiting) refuse(closeCodes.badRequest, "bad_request", `no hello came within ${helloTimeoutMs} ms`);
		});
		connection.onClose(() => {
			waiting = false;
			timeout.cancel();
		});
		connection.onMessage((data, binary) => {
			if (!waiting) return;
			if (!binary) return refuse(closeCodes.badRequest, "bad_request", "text is no frame: send binary messages");
			const frame = decodeClientFrame(data);
			if (frame.type === "error") return refuse(closeCodes.badRequest, "bad_request", frame.message);
			if (frame.type !== "hello") {
				return refuse(closeCodes.badRequest, "bad_request", `the first frame must be hello, not ${frame.type}`);
			}
			const viewer = this.#find(request, frame.hello);
			if (viewer === "unknown") return refuse(closeCodes.unknown, "unknown_session", "this session has ended");
			if (viewer === "full") {
				const limit = request.readOnly ? viewersLimits.maxSharedViewers : viewersLimits.maxViewers;
				return refuse(closeCodes.unavailable, "too_many", `${limit} terminals are open already`);
			}
			waiting = false;
			timeout.cancel();
			const size = request.target ?? { cols: frame.hello.cols, rows: frame.hello.rows };
			try {
				viewer.connect(connection, frame.hello, { cols: size.cols, rows: size.rows });
			} catch (thrown) {
				void connection.close(closeCodes.unavailable, closeReason("unavailable", messageOf(thrown)));
			}
		});
	}

	/** Whether this owner has a viewer here that could be resumed. */
	holds(sessionId: string, owner: string): boolean {
		return this.#of(sessionId).some((viewer) => viewer.owner === owner);
	}

	/** Sockets that watch this session now. */
	watching(sessionId: string): number {
		return this.#of(sessionId).filter((viewer) => viewer.live).length;
	}

	windowResized(sessionId: string, cols: number, rows: number): void {
		for (const viewer of this.#of(sessionId)) viewer.windowResized({ cols, rows });
	}

	renamed(sessionId: string, name: string): void {
		for (const viewer of this.#of(sessionId)) viewer.event({ type: "renamed", name });
	}

	/** Ends every viewer of one owner: its token was revoked or is over. */
	endOwner(owner: string, code: number, error: string, message: string): void {
		for (const viewer of this.#viewers.values()) if (viewer.owner === owner) viewer.end(code, error, message);
	}

	close(): void {
		for (const viewer of this.#viewers.values()) {
			viewer.end(closeCodes.draining, "draining", "the node is stopping: try again soon");
		}
	}

	#find(request: ViewRequest, hello: Hello): Viewer | "unknown" | "full" {
		const held = hello.viewer === undefined ? undefined : this.#viewers.get(hello.viewer);
		if (held !== undefined && held.session.id === request.sessionId && held.owner === request.owner) return held;
		const { target } = request;
		if (target === null) return "unknown";
		if (this.#viewers.size >= viewersLimits.maxViewers) return "full";
		if (request.readOnly && this.#shared >= viewersLimits.maxSharedViewers) return "full";
		const id = newSecret(this.#deps.random);
		const { clock } = this.#deps;
		const viewer = new Viewer(
			{
				clock,
				server: target.server,
				exitReason: () => this.#deps.exitReason(target),
				onGone: () => this.#viewers.delete(id),
			},
			{ id, owner: request.owner, session: target, readOnly: request.readOnly },
			{ cols: target.cols, rows: target.rows },
		);
		this.#viewers.set(id, viewer);
		return viewer;
	}

	get #shared(): number {
		return [...this.#viewers.values()].filter((viewer) => viewer.readOnly).length;
	}

	#of(sessionId: string): Viewer[] {
		return [...this.#viewers.values()].filter((viewer) => viewer.session.id === sessionId);
	}
}
