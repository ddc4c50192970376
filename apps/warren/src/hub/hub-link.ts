import { type TicketKey, ticketKeySchema } from "@warren/accounts";
import {
	type Clock,
	type Closeable,
	defineErrors,
	type Logger,
	messageOf,
	type NodeId,
	type PeerCandidate,
	type PeerSource,
	parseConfig,
	type Timer,
} from "@warren/kernel";
import { Agent, request } from "undici";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";

const linkError = defineErrors({ hub_away: { status: 503, retryable: true }, not_a_member: { status: 403 } });

const linkSchema = z.object({
	hubUrl: z.url(),
	/** PEM of the warren's CA. */
	ca: z.string(),
	nodeId: z.string(),
	/** A secret. */
	nodeToken: z.string(),
	ownerId: z.string(),
	ticketKey: ticketKeySchema,
});
const machineSchema = z.object({
	nodeId: z.string(),
	name: z.string(),
	hosts: z.array(z.string()),
	port: z.number(),
	hub: z.boolean(),
});
const cacheSchema = z.object({
	machines: z.array(machineSchema),
	revocations: z.string().nullable(),
	etag: z.string().nullable(),
});

/** How a machine belongs to its warren: kept 0600 in the data folder from the day it joined. */
export type HubLinkFile = z.infer<typeof linkSchema> & { readonly ticketKey: TicketKey };
type KnownMachine = z.infer<typeof machineSchema>;

const limits = { heartbeatMs: 30_000, callMs: 10_000, maxAnswerBytes: 4 * 1024 * 1024 } as const;

export function readHubLink(data: DataFolder): HubLinkFile | null {
	const text = data.read("link.json");
	return text === null ? null : parseConfig(linkSchema, JSON.parse(text), "join");
}

export function writeHubLink(data: DataFolder, link: HubLinkFile): void {
	data.write(JSON.stringify(link), "link.json");
}

export interface HubLinkDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly data: DataFolder;
	/** What this machine says of itself with each heartbeat. */
	readonly facts: () => {
		readonly name: string;
		readonly hosts: readonly string[];
		readonly port: number;
		readonly version: string;
	};
	/** A newer signed list has come: sign out what it names. */
	readonly onRevocations: (sealed: string) => Promise<void>;
	readonly onMachines: () => void;
}

/**
 * A joined machine's side of its membership: tells the hub that it lives, keeps the list of machines and of revocations
 * on disk, and works from there while the hub is away.
 */
export class HubLink implements PeerSource, Closeable {
	readonly name = "hub";
	readonly file: HubLinkFile;
	readonly #deps: HubLinkDeps;
	readonly #agent: Agent;
	#cache: z.infer<typeof cacheSchema>;
	#timer: Timer | undefined;
	#closed = false;
	/** Why the last round failed; null after a good one. */
	#away: string | null = null;

	constructor(file: HubLinkFile, deps: HubLinkDeps) {
		this.file = file;
		this.#deps = deps;
		this.#agent = new Agent({
			connect: { ca: file.ca, timeout: limits.callMs },
			headersTimeout: limits.callMs,
			bodyTimeout: limits.callMs,
		});
		const kept = deps.data.read("link-cache.json");
		const parsed = kept === null ? null : cacheSchema.safeParse(JSON.parse(kept));
		this.#cache = parsed?.data ?? { machines: [], revocations: null, etag: null };
	}

	/** The list that was kept is applied first, so that a revoked device stays out with the hub away. */
	async start(): Promise<void> {
		if (this.#cache.revocations !== null) await this.#deps.onRevocations(this.#cache.revocations);
		void this.#round();
	}

	candidates: PeerSource["candidates"] = async () => {
		const candidates = this.#cache.machines
			.filter((machine) => machine.nodeId !== this.file.nodeId)
			.flatMap(({ nodeId, name, hosts, port }): PeerCandidate[] =>
				hosts[0] === undefined ? [] : [{ name, host: hosts[0], port, nodeId: nodeId as NodeId }],
			);
		if (this.#away === null) return { candidates, errors: [] };
		const message = `The hub at ${this.file.hubUrl} does not answer: ${this.#away}. These are the machines that it last named.`;
		return {
			candidates,
			errors: [{ source: this.name, kind: "hub_away", message, fix: "Is that machine on, and Warren running there?" }],
		};
	};

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		await this.#agent.destroy();
	}

	async #round(): Promise<void> {
		try {
			await this.#call("PUT", "/v1/machines/self", this.#deps.facts());
			await this.#learnMachines();
			await this.#learnRevocations();
			this.#away = null;
		} catch (fault) {
			if (this.#closed) return;
			if (this.#away === null)
				this.#deps.logger.warn("the hub does not answer", { hub: this.file.hubUrl, fault: messageOf(fault) });
			this.#away = messageOf(fault);
		}
		if (!this.#closed) this.#timer = this.#deps.clock.after(limits.heartbeatMs, () => void this.#round());
	}

	async #learnMachines(): Promise<void> {
		const { body } = await this.#call("GET", "/v1/machines");
		const machines = z.object({ machines: z.array(machineSchema) }).parse(JSON.parse(body)).machines;
		if (sameMachines(machines, this.#cache.machines)) return;
		this.#keep({ ...this.#cache, machines });
		this.#deps.onMachines();
	}

	async #learnRevocations(): Promise<void> {
		const known = this.#cache.etag;
		const { status, body, etag } = await this.#call(
			"GET",
			"/v1/revocations",
			undefined,
			known === null ? {} : { "if-none-match": known },
		);
		if (status === 304) return;
		const { revocations } = z.object({ revocations: z.string() }).parse(JSON.parse(body));
		await this.#deps.onRevocations(revocations);
		this.#keep({ ...this.#cache, revocations, etag });
	}

	#keep(cache: z.infer<typeof cacheSchema>): void {
		this.#cache = cache;
		this.#deps.data.write(JSON.stringify(cache), "link-cache.json");
	}

	async #call(
		method: "GET" | "PUT",
		path: string,
		body?: unknown,
		headers: Readonly<Record<string, string>> = {},
	): Promise<{ status: number; body: string; etag: string | null }> {
		const answer = await request(new URL(path, this.file.hubUrl), {
			method,
			dispatcher: this.#agent,
			headers: {
				authorization: `Bearer ${this.file.nodeToken}`,
				...(body === undefined ? {} : { "content-type": "application/json" }),
				...headers,
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await answer.body.text();
		if (text.length > limits.maxAnswerBytes) throw linkError("hub_away", "its answer is too long");
		if (answer.statusCode === 401)
			throw linkError("not_a_member", "it no longer knows this machine; join again with: warren join");
		if (answer.statusCode >= 400) throw linkError("hub_away", `it answered ${answer.statusCode}`);
		const etag = answer.headers["etag"];
		return { status: answer.statusCode, body: text, etag: typeof etag === "string" ? etag : null };
	}
}

function sameMachines(a: readonly KnownMachine[], b: readonly KnownMachine[]): boolean {
	return JSON.stringify(a) === JSON.stringify(b);
}
