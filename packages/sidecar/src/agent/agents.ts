import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Authenticator, Closeable, Identity } from "@warren/kernel";
import { type AgentDeps, type AgentOptions, CodingAgent } from "./agent.ts";
import { agentError } from "./agent-errors.ts";

const maxAgents = 4;

export interface AgentsOptions extends AgentOptions {
	/** Whose programs may run here: this machine's owner. */
	readonly mayRun: (user: Extract<Identity, { kind: "user" }>) => boolean;
	/** Judges a session's token: the hub's word, or what is known of it while that is away. */
	readonly sessions: Authenticator;
}

/** The coding agents of this machine, one a person. */
export class CodingAgents implements Closeable {
	readonly #deps: AgentDeps;
	readonly #options: AgentsOptions;
	readonly #agents = new Map<string, CodingAgent>();
	readonly #opening = new Map<string, Promise<CodingAgent>>();

	constructor(deps: AgentDeps, options: AgentsOptions) {
		this.#deps = deps;
		this.#options = options;
	}

	/** Whose session this is. @throws WarrenError `bad_session`, `not_your_machine`. */
	async personOf(token: string, remoteAddress: string): Promise<Extract<Identity, { kind: "user" }>> {
		const verdict = await this.#options.sessions.authenticate(
			{ scheme: "bearer", token, from: "header" },
			{ accepts: ["session"], remoteAddress, path: "/api/agent" },
		);
		if (verdict?.ok !== true || verdict.identity.kind !== "user")
			throw agentError("bad_session", verdict?.ok === false ? verdict.message : "This is no session of the hub.");
		if (!this.#options.mayRun(verdict.identity))
			throw agentError("not_your_machine", "This machine was not set up by you.");
		return verdict.identity;
	}

	get(userId: string): CodingAgent | undefined {
		return this.#agents.get(userId);
	}

	/** The person's agent, started when it is not; a newer session of theirs reaches it at once. */
	async start(user: Extract<Identity, { kind: "user" }>, token: string): Promise<CodingAgent> {
		const running = this.#agents.get(user.userId);
		if (running !== undefined) {
			running.session.refresh(token);
			return running;
		}
		const opening = this.#opening.get(user.userId);
		if (opening !== undefined) return opening;
		if (this.#agents.size + this.#opening.size >= maxAgents)
			throw agentError("too_many_agents", `${maxAgents} coding agents run on this machine already.`);
		const made = CodingAgent.open(this.#deps, { ...this.#options, folder: this.#folderOf(user.userId) }, user, token)
			.then((agent) => {
				this.#agents.set(user.userId, agent);
				return agent;
			})
			.finally(() => this.#opening.delete(user.userId));
		this.#opening.set(user.userId, made);
		return made;
	}

	/** One that is being opened, too. */
	async stop(userId: string): Promise<void> {
		// Why it was not opened is told to who started it.
		await this.#opening.get(userId)?.catch(() => {});
		const agent = this.#agents.get(userId);
		this.#agents.delete(userId);
		await agent?.close();
	}

	async close(): Promise<void> {
		await Promise.all([...this.#agents.keys(), ...this.#opening.keys()].map((user) => this.stop(user)));
	}

	/** A person's identifier is the hub's to choose: it names no folder as it is. */
	#folderOf(userId: string): string {
		return join(this.#options.folder, createHash("sha256").update(userId).digest("hex").slice(0, 24));
	}
}
