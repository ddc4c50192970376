import type { Agent, Lease } from "../agents/agent.ts";
import type { AgentPool } from "../agents/agent-pool.ts";

const maxTries = 3;

/** Looks for a link that carries one request; for another one where the first failed before anything was answered. */
export class LinkSearch {
	readonly #pool: AgentPool;
	readonly #service: string;
	readonly #found: (lease: Lease | null) => void;
	#stopWaiting: (() => void) | null = null;
	#tries = 0;

	/** @param found is called once a search, at once or later; null = no agent can take it. */
	constructor(pool: AgentPool, service: string, found: (lease: Lease | null) => void) {
		this.#pool = pool;
		this.#service = service;
		this.#found = found;
	}

	/** Once more makes sense: somebody is there, and few were asked so far. */
	get mayGoOn(): boolean {
		return this.#tries < maxTries && this.#pool.of(this.#service).live;
	}

	/** @param avoid the agent that has just failed. @returns false while it waits for a link. */
	start(avoid: Agent | null): boolean {
		const agents = this.#pool.of(this.#service);
		this.#tries += 1;
		const lease = agents.take(true, avoid);
		if (lease !== null) {
			this.#found(lease);
			return true;
		}
		let answered = false;
		const stop = agents.wait(true, (waited) => {
			answered = true;
			this.#stopWaiting = null;
			this.#found(waited);
		});
		if (answered) return true;
		if (stop === null) {
			this.#found(null);
			return true;
		}
		this.#stopWaiting = stop;
		return false;
	}

	cancel(): void {
		this.#stopWaiting?.();
		this.#stopWaiting = null;
	}
}
