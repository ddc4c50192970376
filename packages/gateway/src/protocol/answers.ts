import { closeCodes } from "@warren/kernel";
import type { MachineCore } from "./machine-core.ts";
import type { Mesh } from "./mesh.ts";
import { MinuteLimit } from "./minute-limit.ts";
import type { Session } from "./session.ts";

/** What a connection is told, in the words of the original where it has any. */
export class Answers {
	readonly #core: MachineCore;
	readonly #faults: MinuteLimit;
	/** Closes a connection, and takes it out of its mesh. */
	readonly end: (session: Session, code: number, reason: string) => void;

	constructor(core: MachineCore, end: Answers["end"]) {
		this.#core = core;
		this.#faults = new MinuteLimit(core.limits.maxFaultsPerMinute);
		this.end = end;
	}

	say(session: Session, text: string): void {
		this.#core.emit({ kind: "send", to: session.socket, text });
	}

	/** In the words of the original: `gateway_auth_error` until somebody is in, `error` after that. */
	refuse(session: Session, message: string): void {
		const type = session.state.at === "in" ? "error" : "gateway_auth_error";
		this.say(session, JSON.stringify({ type, message }));
	}

	/** Rule G5. */
	fault(session: Session, mesh: Mesh, message: string): void {
		this.refuse(session, message);
		if (this.#faults.take(mesh.meshId, this.#core.now) > 0)
			this.end(session, closeCodes.badRequest, `too many malformed messages; the last: ${message}`);
	}

	limited(session: Session, what: string, retryAfterMs: number): void {
		const message = `${what}: try again in ${seconds(retryAfterMs)}`;
		const extra = session.features.size === 0 ? {} : { code: "rate_limited", retryAfterMs };
		this.say(session, JSON.stringify({ type: "error", message, ...extra }));
	}
}

export const seconds = (ms: number) => `${Math.ceil(ms / 1000)} s`;
