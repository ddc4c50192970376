import { randomBytes } from "node:crypto";
import { homedir } from "node:os";
import {
	type Clock,
	type Closeable,
	type Identity,
	type Logger,
	messageOf,
	newSecret,
	type Random,
	type Timer,
} from "@warren/kernel";
import { Agent as HttpAgent } from "undici";
import { z } from "zod";
import type { DocumentHost } from "../document-host.ts";
import { runAction } from "../workspaces/run-action.ts";
import { agentError } from "./agent-errors.ts";
import { AgentRelay, type HubPlace } from "./agent-relay.ts";
import { freePort } from "./free-port.ts";
import { HubSession } from "./hub-session.ts";
import { findOpencode } from "./opencode-binary.ts";
import { type OfferedProvider, opencodeConfig } from "./opencode-config.ts";
import { OpencodeHome } from "./opencode-home.ts";
import { type Launch, OpencodeProcess, type ProcessState } from "./opencode-process.ts";
import { readWorkspaces } from "./plugin-list.ts";
import { toolsFile, toolsFileNames } from "./tools-file.ts";

export interface AgentDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly documents: DocumentHost;
}

export interface AgentOptions {
	readonly hub: HubPlace;
	/** This machine's folder for one person's agent. */
	readonly folder: string;
	/** Of this process, for PATH and the like. */
	readonly environment: Readonly<Record<string, string | undefined>>;
	/** WARREN_OPENCODE; null = find it. */
	readonly command: string | null;
	/** MCP servers of this machine's configuration. */
	readonly mcp: Readonly<Record<string, unknown>>;
	/** `file:` addresses of plugins that this machine alone has. */
	readonly localPlugins: readonly string[];
}

type User = Extract<Identity, { kind: "user" }>;

const providersSchema = z.object({
	providers: z.array(
		z.object({ id: z.string(), name: z.string(), configured: z.boolean(), models: z.array(z.string()) }),
	),
});
/** How often the workspaces are looked at for a schema or a list of plugins that changed. */
const lookEveryMs = 10_000;

/** One person's coding agent on this machine: OpenCode, its relay, its tools. */
export class CodingAgent implements Closeable {
	readonly user: User;
	readonly session: HubSession;
	readonly #deps: AgentDeps;
	readonly #options: AgentOptions;
	readonly #home: OpencodeHome;
	readonly #relay: AgentRelay;
	readonly #process: OpencodeProcess;
	readonly #http = new HttpAgent({ headersTimeout: 0, bodyTimeout: 0 });
	readonly #watchers = new Set<() => void>();
	#password = "";
	#plugins: readonly string[] = [];
	#providers: readonly OfferedProvider[] = [];
	#look: Timer | null = null;
	#closed = false;
	/** Tools or plugins changed while it ran: it reads them at its next start. */
	#stale = false;

	private constructor(deps: AgentDeps, options: AgentOptions, user: User, session: HubSession, relay: AgentRelay) {
		this.#deps = deps;
		this.#options = options;
		this.user = user;
		this.session = session;
		this.#relay = relay;
		this.#home = new OpencodeHome(options.folder);
		this.#process = new OpencodeProcess(
			deps,
			() => this.#prepare(),
			() => this.#changed(),
		);
	}

	/** @throws WarrenError `no_opencode`. */
	static async open(deps: AgentDeps, options: AgentOptions, user: User, token: string): Promise<CodingAgent> {
		findOpencode({ command: options.command, path: options.environment["PATH"] ?? "" });
		const session = new HubSession(deps.clock, token);
		const relay = await AgentRelay.open(deps, {
			session,
			hub: options.hub,
			runTool: (workspace, action, input) => runAction(deps, user, workspace, action, input),
		});
		const agent = new CodingAgent(deps, options, user, session, relay);
		agent.#process.start();
		agent.#lookLater();
		return agent;
	}

	get state(): ProcessState {
		return this.#process.state;
	}

	get log(): string {
		return this.#process.log;
	}

	/** What people see of it. No secret. */
	describe() {
		const { state } = this.#process;
		return {
			state: state.kind,
			...(state.kind === "waiting" ? { reason: state.reason, retryAt: state.retryAt } : {}),
			...(state.kind === "running" ? { since: state.since } : {}),
			sessionEnded: this.session.ended,
			providers: this.#providers
				.filter((each) => each.configured)
				.map(({ id, name, models }) => ({ id, name, models })),
			plugins: this.#plugins,
			toolsChanged: this.#stale,
			folder: homedir(),
		};
	}

	/** Asks its own server. @throws WarrenError `agent_not_ready`. */
	async request(
		method: string,
		path: string,
		body: string | null,
		signal: AbortSignal,
	): Promise<{
		readonly status: number;
		readonly headers: Record<string, unknown>;
		readonly body: NodeJS.ReadableStream;
	}> {
		const { state } = this.#process;
		if (state.kind !== "running") throw agentError("agent_not_ready", `The coding agent is ${state.kind}.`);
		const asked = this.#http.request({
			origin: state.url,
			path,
			method: method as "GET",
			headers: {
				authorization: `Basic ${Buffer.from(`opencode:${this.#password}`).toString("base64")}`,
				...(body === null ? {} : { "content-type": "application/json" }),
			},
			body,
			signal,
		});
		const answer = await asked.catch((cause: unknown) => {
			if (signal.aborted) throw cause;
			// It has just ended, or is about to say so.
			throw agentError("agent_not_ready", `The coding agent does not answer: ${messageOf(cause)}.`, { cause });
		});
		return { status: answer.statusCode, headers: answer.headers, body: answer.body };
	}

	restart(): Promise<void> {
		return this.#process.restart();
	}

	onChange(watcher: () => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#look?.cancel();
		await this.#process.close();
		await this.#relay.close();
		await this.#http.destroy();
	}

	/** Everything of one start: fresh secrets, files as the workspaces say now. */
	async #prepare(): Promise<Launch> {
		const { random } = this.#deps;
		const { environment, command, mcp, localPlugins } = this.#options;
		this.#home.prepare();
		await this.#writeTools();
		this.#stale = false;
		// Without the hub it starts all the same: local tools work, and calls are answered when it is back.
		const asked = await this.#relay.ask("/ai/providers").catch(() => null);
		if (asked !== null) this.#providers = providersSchema.parse(asked).providers;
		const secret = newSecret(random);
		this.#relay.setSecret(secret);
		this.#password = randomBytes(24).toString("base64url");
		const config = opencodeConfig({
			relay: this.#relay.url,
			secret,
			providers: this.#providers,
			plugins: [...this.#plugins, ...localPlugins],
			mcp,
		});
		return {
			program: findOpencode({ command, path: environment["PATH"] ?? "" }),
			args: ["serve", "--hostname", "127.0.0.1", "--port", String(await freePort())],
			cwd: this.#home.path,
			env: {
				...this.#home.environment(environment),
				OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
				OPENCODE_SERVER_PASSWORD: this.#password,
				WARREN_AGENT_RELAY: this.#relay.url,
				WARREN_AGENT_SECRET: secret,
			},
		};
	}

	/** @returns whether tools or plugins are others than before. */
	async #writeTools(): Promise<boolean> {
		const { tools, plugins } = await readWorkspaces(this.#deps.documents, this.user, this.#deps);
		const files = new Map([...toolsFileNames(tools)].map(([file, each]) => [file, toolsFile(each, file)]));
		const changed = this.#home.writeTools(files);
		const samePlugins = plugins.join("\n") === this.#plugins.join("\n");
		this.#plugins = plugins;
		return changed || !samePlugins;
	}

	/** What changed counts once no turn is running: a restart would break it off. */
	async #lookAgain(): Promise<void> {
		if (this.#process.state.kind !== "running") return;
		if (await this.#writeTools()) this.#stale = true;
		if (this.#stale && (await this.#idle())) await this.#process.restart();
	}

	async #idle(): Promise<boolean> {
		const { status, body } = await this.request("GET", "/session/status", null, AbortSignal.timeout(5_000));
		let text = "";
		for await (const chunk of body) text += String(chunk);
		if (status !== 200) return false;
		const states = Object.values(JSON.parse(text) as Record<string, { type?: string }>);
		return states.every((each) => each.type === "idle");
	}

	#lookLater(): void {
		// It may have been closed while it looked.
		if (this.#closed) return;
		this.#look = this.#deps.clock.after(lookEveryMs, () => {
			void this.#lookAgain()
				.catch((fault: Error) => this.#deps.logger.debug("workspaces were not looked at", { fault: fault.message }))
				.finally(() => this.#lookLater());
		});
	}

	#changed(): void {
		for (const watcher of this.#watchers) watcher();
	}
}
