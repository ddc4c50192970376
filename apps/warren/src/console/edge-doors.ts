import { existsSync, readFileSync } from "node:fs";
import { defineErrors, WarrenError } from "@warren/kernel";
import { Agent } from "undici";
import type { ConsoleAddress } from "../backbone/backbone-console.ts";
import type { NodeConfig } from "../config/node-config.ts";
import { lookupOwn } from "../config/own-lookup.ts";
import { localHost } from "../config/server-config.ts";
import { CoordinatorClient } from "../coordinator/coordinator-client.ts";
import { edgeFiles } from "../edge/edge-config.ts";
import { backboneConsoleToken } from "../edge/edge-part.ts";
import { readMembership } from "../hub/membership.ts";
import type { NodeBase } from "../node/role-part.ts";
import type { Processes } from "../supervisor/supervised-role.ts";

const doorError = defineErrors({
	not_here: { status: 409 },
	edge_down: { status: 503, retryable: true, fix: "See why with: warren status" },
	edge_refused: { status: 502 },
});

const answerTimeoutMs = 10_000;
export type EdgeRole = "coordinator" | "backbone" | "gateway";

/**
 * The ways from this process to the roles of the edge process beside it, as their administrator. The credential stays
 * here: a page asks this node, and this node asks them.
 */
export class EdgeDoors {
	readonly #base: NodeBase;
	readonly #config: NodeConfig;
	readonly #processes: Processes | null;
	readonly #hubUrl: string | null;

	/** @param processes null where a node runs alone. */
	constructor(base: NodeBase, config: NodeConfig, processes: Processes | null) {
		this.#base = base;
		this.#config = config;
		this.#processes = processes;
		this.#hubUrl = readMembership(base.data)?.hubUrl ?? null;
	}

	/** Where the first machine of this warren is; null on that very machine. */
	get firstMachine(): string | null {
		return this.#hubUrl;
	}

	/** @throws WarrenError `not_here`, `edge_down`, and what the coordinator answers. */
	async askCoordinator<T>(ask: (client: CoordinatorClient) => Promise<T>): Promise<T> {
		const url = this.#urlOf("coordinator");
		const { data, authority } = this.#base;
		const agent = new Agent({
			// The node's own leaf opens the port, the token the routes.
			connect: {
				lookup: lookupOwn,
				ca: authority?.certPem ?? "",
				cert: data.read("tls", "node.crt") ?? "",
				key: data.read("tls", "node.key") ?? "",
			},
			headersTimeout: answerTimeoutMs,
			bodyTimeout: answerTimeoutMs,
		});
		try {
			return await ownFaults("coordinator", () =>
				ask(new CoordinatorClient(url, agent, backboneConsoleToken(this.#base))),
			);
		} finally {
			await agent.close();
		}
	}

	/** @throws WarrenError `not_here`, `edge_down`, and what the backbone answers. */
	async askBackbone<T>(ask: (address: ConsoleAddress) => Promise<T>): Promise<T> {
		const url = this.#urlOf("backbone");
		const { backboneCa } = edgeFiles(this.#base.data.path);
		const address = {
			url,
			ca: (this.#base.authority?.certPem ?? "") + (existsSync(backboneCa) ? readFileSync(backboneCa, "utf8") : ""),
			token: backboneConsoleToken(this.#base),
		};
		return ownFaults("backbone", () => ask(address));
	}

	/** @throws WarrenError `not_here`, `edge_down`, and what the gateway answers. */
	async askGateway<T>(ask: (address: ConsoleAddress) => Promise<T>): Promise<T> {
		// Plain HTTP, as the edge process serves it, for a proxy in front.
		const url = this.#urlOf("gateway").replace(/^https:/, "http:");
		return ownFaults("gateway", () => ask({ url, ca: "", token: backboneConsoleToken(this.#base) }));
	}

	/** Those of the edge's roles that are meant to run here, up or down. */
	get roles(): readonly EdgeRole[] {
		if (!this.here) return [];
		const rows = this.#processes?.rows().flatMap(({ roles }) => roles) ?? [];
		return (["coordinator", "backbone", "gateway"] as const).filter((role) => rows.some(({ name }) => name === role));
	}

	/** Whether the edge's roles belong to this machine at all, up or down. */
	get here(): boolean {
		return this.#hubUrl === null && this.#base.authority !== null && this.#hasEdge();
	}

	#hasEdge(): boolean {
		return this.#processes?.rows().some(({ name }) => name === "edge") ?? false;
	}

	#urlOf(role: EdgeRole): string {
		if (this.#hubUrl !== null)
			throw doorError("not_here", `The ${role} of this warren runs on its first machine.`, {
				fix: `Open ${this.#hubUrl} for this.`,
				details: { firstMachine: this.#hubUrl },
			});
		if (!this.here)
			throw doorError("not_here", `No ${role} runs on this machine.`, {
				fix: "Start it with: warren up (without WARREN_EDGE=0, --http or certificate files).",
			});
		const row = this.#processes
			?.rows()
			.flatMap(({ roles }) => roles)
			.find(({ name }) => name === role);
		if (row?.state !== "running" || row.port === undefined)
			throw doorError("edge_down", `The ${role} of this machine is down${row?.error ? `: ${row.error}` : "."}`);
		return `https://${localHost(this.#config.host)}:${row.port}`;
	}
}

/** What this process is refused is no word about the credential of whoever asks it. */
async function ownFaults<T>(role: EdgeRole, ask: () => Promise<T>): Promise<T> {
	try {
		return await ask();
	} catch (failure) {
		if (failure instanceof WarrenError && failure.status === 401)
			throw doorError("edge_refused", `The ${role} refuses this machine's own token: ${failure.message}`, {
				fix: "Restart Warren on this machine.",
				cause: failure,
			});
		throw failure;
	}
}
