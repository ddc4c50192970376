import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { Backoff, type Clock, type Closeable, type Logger, messageOf, type Random, type Timer } from "@warren/kernel";
import { type ControlMessage, ControlReader } from "./control-protocol.ts";
import type { SessionNumber } from "./rows.ts";
import { parseSnapshot, type Snapshot, snapshotFormat } from "./snapshot.ts";
import { SnapshotChanges, type TmuxEvent } from "./snapshot-changes.ts";
import type { TmuxServer } from "./tmux-server.ts";

export const watchLimits = {
	firstRetryMs: 100,
	maxRetryMs: 30_000,
	/** A control client that lived this long starts its retries anew. */
	steadyMs: 10_000,
} as const;

export interface SocketWatchDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
}

/**
 *   idle ─ wake, sessions found ─► running ─ ends, sessions left ─► waiting ─ backoff ─► running
 *    ▲                               │ ends, none left                │ none left
 *    └───────────────────────────────┴────────────────────────────────┘
 */
type State =
	/** No server, or one without sessions: there is nothing to attach to, and nothing runs. */
	| { readonly name: "idle" }
	| { readonly name: "looking"; again: boolean }
	| {
			readonly name: "running";
			readonly child: ChildProcessWithoutNullStreams;
			readonly since: number;
			/** Before tmux says so, it answers commands as if nobody were attached. */
			attached: boolean;
			/** Answers that are still to come for the commands sent, oldest first. */
			readonly awaited: ("other" | "snapshot")[];
			session: SessionNumber;
			/** Something changed while a snapshot was on its way. */
			stale: boolean;
	  }
	| { readonly name: "waiting"; readonly timer: Timer }
	| { readonly name: "closed" };

/**
 * Events of one tmux server, from one control-mode client: tmux says by itself what changed, nothing is polled. While no
 * server runs, no client runs either; `wake` looks again.
 */
export class SocketWatch implements Closeable {
	readonly #server: TmuxServer;
	readonly #deps: SocketWatchDeps;
	readonly #onEvent: (event: TmuxEvent) => void;
	readonly #backoff: Backoff;
	readonly #changes = new SnapshotChanges();
	#state: State = { name: "idle" };

	constructor(server: TmuxServer, deps: SocketWatchDeps, onEvent: (event: TmuxEvent) => void) {
		this.#server = server;
		this.#deps = deps;
		this.#onEvent = onEvent;
		this.#backoff = new Backoff({ firstMs: watchLimits.firstRetryMs, maxMs: watchLimits.maxRetryMs }, deps.random);
	}

	/** The session that our control client is attached to: its `attached` counts one too many. */
	get attachedTo(): SessionNumber | undefined {
		return this.#state.name === "running" ? this.#state.session : undefined;
	}

	/** What the server looked like last; undefined before the first answer. */
	get snapshot(): Snapshot | undefined {
		return this.#changes.current;
	}

	/** There may be a server now. Cheap when a client runs already. */
	wake(): void {
		if (this.#state.name === "looking") this.#state.again = true;
		if (this.#state.name === "idle") void this.#look();
	}

	close(): void {
		const state = this.#state;
		this.#state = { name: "closed" };
		if (state.name === "waiting") state.timer.cancel();
		if (state.name === "running") state.child.kill();
	}

	async #look(): Promise<void> {
		this.#state = { name: "looking", again: false };
		let session: SessionNumber | undefined;
		let failed = false;
		try {
			session = (await this.#server.sessions())[0]?.number;
		} catch (thrown) {
			failed = true;
			this.#deps.logger.warn("tmux cannot be watched", {
				socket: this.#server.socket.key,
				fault: messageOf(thrown),
			});
		}
		if (this.#state.name !== "looking") return;
		if (session !== undefined) return this.#run(session);
		if (!failed) this.#take(new Map());
		const { again } = this.#state;
		this.#state = { name: "idle" };
		if (again) void this.#look();
	}

	#run(session: SessionNumber): void {
		const args = ["-C", "attach-session", "-E", "-f", "ignore-size,no-output", "-t", session];
		const child = spawn(this.#server.program, [...this.#server.clientArguments, ...args], {
			env: { ...this.#server.environment },
			stdio: ["pipe", "pipe", "pipe"],
		});
		const since = this.#deps.clock.monotonic();
		const state: State = { name: "running", child, since, attached: false, awaited: [], session, stale: false };
		this.#state = state;
		const reader = new ControlReader();
		child.stdout.on("data", (bytes: Buffer) => {
			if (this.#state !== state) return;
			try {
				for (const message of reader.feed(bytes)) this.#hear(message);
			} catch (thrown) {
				this.#deps.logger.warn("tmux's control mode cannot be read", { fault: messageOf(thrown) });
				child.kill();
			}
		});
		child.stderr.resume();
		// A client that ends while we write breaks the pipe: its end is told by `close`.
		child.stdin.on("error", () => {});
		child.on("error", () => {});
		child.once("close", () => {
			if (this.#state === state) this.#ended(since);
		});
	}

	#ended(since: number): void {
		if (this.#deps.clock.monotonic() - since >= watchLimits.steadyMs) this.#backoff.reset();
		const timer = this.#deps.clock.after(this.#backoff.nextMs(), () => void this.#look());
		this.#state = { name: "waiting", timer };
	}

	#hear(message: ControlMessage): void {
		if (this.#state.name !== "running") return;
		if (message.type === "reply") {
			if (!message.asked) return;
			if (this.#state.awaited.shift() !== "snapshot") return;
			if (message.ok) this.#take(parseSnapshot(message.text));
			if (this.#state.name === "running" && this.#state.stale) this.#ask();
			return;
		}
		switch (message.name) {
			case "subscription-changed": {
				const at = message.rest.indexOf(" : ");
				if (at !== -1) this.#take(parseSnapshot(message.rest.slice(at + 3)));
				return;
			}
			case "session-changed":
				this.#state.session = (message.rest.split(" ")[0] ?? this.#state.session) as SessionNumber;
				if (!this.#state.attached) {
					this.#state.attached = true;
					this.#command(`refresh-client -B 'warren::${snapshotFormat}'`, "other");
				}
				return this.#ask();
			case "output":
			case "exit":
				return;
			default:
				// Something changed: the subscription would say what within a second, asking says it now.
				this.#ask();
		}
	}

	#ask(): void {
		if (this.#state.name !== "running" || !this.#state.attached) return;
		if (this.#state.awaited.includes("snapshot")) {
			this.#state.stale = true;
			return;
		}
		this.#state.stale = false;
		this.#command(`display-message -p '${snapshotFormat}'`, "snapshot");
	}

	#command(line: string, answer: "other" | "snapshot"): void {
		if (this.#state.name !== "running") return;
		this.#state.awaited.push(answer);
		this.#state.child.stdin.write(`${line}\n`);
	}

	#take(snapshot: Snapshot): void {
		for (const event of this.#changes.next(snapshot, this.#deps.clock.monotonic())) this.#onEvent(event);
	}
}
