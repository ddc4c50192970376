import {
	Backoff,
	type Clock,
	type Closeable,
	delay,
	type HealthTable,
	type Logger,
	messageOf,
	type NodeId,
	type PeerCandidate,
	type PeerSource,
	type Random,
	WarrenError,
} from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection } from "@warren/net";
import { z } from "zod";
import { candidateOf, type MachineFacts, machineLimits } from "../machines/machines.ts";
import type { AskHub } from "../session-client.ts";
import type { TicketKey } from "../tickets/ticket.ts";
import { hubAway, removedFromWarren } from "./conditions.ts";
import { HubRequests } from "./hub-requests.ts";
import { keepWords, readKeptWords } from "./kept-words.ts";
import { KnownRevocations } from "./known-revocations.ts";
import { type LinkedMachine, linkedMachineSchema } from "./linked-machine.ts";

export const hubLinkLimits = {
	heartbeatMs: machineLimits.heartbeatMs,
	reconnect: { firstMs: 500, maxMs: 60_000 },
	/** A machine that was removed asks this seldom whether it is back. */
	removedMs: 10 * 60_000,
	maxMessageBytes: 4 * 1024 * 1024,
} as const;

const messageSchema = z.discriminatedUnion("type", [
	z.object({ type: z.literal("machines"), machines: z.array(linkedMachineSchema).max(machineLimits.maxMachines) }),
	z.object({ type: z.literal("machine"), machine: linkedMachineSchema }),
	z.object({ type: z.literal("machine-removed"), nodeId: z.string() }),
]);
const revocationsSchema = z.object({ revocations: z.string() });
const selfSchema = z.object({ owner: z.object({ userId: z.string() }), sessionCookie: z.string().default("") });
const certificateSchema = z.object({ cert: z.string(), ca: z.string() });
export interface HubLinkOptions {
	readonly hubUrl: string;
	readonly nodeId: string;
	/** From the join. A secret. */
	readonly nodeToken: string;
	/** The warren's CA, PEM; null with plain HTTP on loopback. */
	readonly ca: string | null;
	readonly ticketKeys: readonly TicketKey[];
	/** Where machines and revocations stay for a start without the hub; mode 0600. */
	readonly file: string;
	/** What this machine says of itself at each heartbeat. */
	readonly self: () => Partial<MachineFacts>;
}

/**
 * A joined machine's standing connection to its hub: it hears who else is there and which tickets are revoked, says that
 * it lives, and asks about sessions. What it heard last holds while the hub is away, also across a restart.
 *
 * ```
 *        dial ok                     closed, no heartbeat
 * away ───────────► connected ──────────────────────────────► away (backoff)
 *   ▲  any answer 401 └───────────► removed ── asked again each ten minutes ──► away
 * ```
 */
export class HubLink implements PeerSource, Closeable {
	/** As a source of peers. */
	readonly name = "hub";
	readonly #deps: HubLinkDeps;
	readonly #options: HubLinkOptions;
	readonly #requests: HubRequests;
	readonly #abort = new AbortController();
	readonly #machineWatchers = new Set<() => void>();
	readonly #revocations: KnownRevocations;
	#machines = new Map<string, LinkedMachine>();
	readonly #stateWatchers = new Set<(connected: boolean) => void>();
	#ownerId = "";
	#sessionCookie = "";
	/** The last try failed, and none has gone well since. */
	#failing = false;
	#etag: string | undefined;
	#state: "connected" | "away" | "removed" = "away";
	#running: Promise<void> | undefined;

	private constructor(deps: HubLinkDeps, options: HubLinkOptions) {
		this.#deps = deps;
		this.#options = options;
		this.#requests = new HubRequests(options.hubUrl, options.ca);
		this.#revocations = new KnownRevocations(options.ticketKeys);
	}

	/** Reads what was kept, and starts. Never waits for the hub. */
	static open(deps: HubLinkDeps, options: HubLinkOptions): HubLink {
		const link = new HubLink(deps, options);
		link.#load();
		link.#running = link.#run();
		return link;
	}

	get state(): "connected" | "away" | "removed" {
		return this.#state;
	}

	/**
	 * A new leaf for what this machine is called now: before the old one ends, or when its hosts have changed.
	 * @throws WarrenError `hub_unreachable`, `hub_refused`.
	 */
	renewCertificate(csr: string): Promise<{ readonly cert: string; readonly ca: string }> {
		return this.#requests.ask(certificateSchema, "POST", "/v1/machines/self/certificate", {
			token: this.#options.nodeToken,
			body: { csr },
			signal: this.#abort.signal,
		});
	}

	/** For `SessionClient`. */
	get askSession(): AskHub {
		return this.#requests.askSession;
	}

	/** For `verifyTicket`. */
	get revocations(): { has(ticketId: string): boolean } {
		return this.#revocations;
	}

	/** Whose machine this is, as the hub said last: the one person whose tickets open it. Empty = not heard yet. */
	get ownerId(): string {
		return this.#ownerId;
	}

	/** What the hub calls its session cookie; null = not heard yet. */
	get sessionCookie(): string | null {
		return this.#sessionCookie || null;
	}

	/** Whether the hub was tried and did not answer. Not so before the first try. */
	get failing(): boolean {
		return this.#failing;
	}

	/** Called when the hub came back, and when it was found away. */
	onConnected(watcher: (connected: boolean) => void): Closeable {
		this.#stateWatchers.add(watcher);
		return { close: () => void this.#stateWatchers.delete(watcher) };
	}

	machines(): LinkedMachine[] {
		return [...this.#machines.values()];
	}

	onMachines(watcher: () => void): Closeable {
		this.#machineWatchers.add(watcher);
		return { close: () => void this.#machineWatchers.delete(watcher) };
	}

	/** Tickets that have just become revoked: end what was enrolled with them. Called with all that are known first. */
	onRevoked(watcher: (ticketIds: readonly string[]) => void): Closeable {
		return this.#revocations.watch(watcher);
	}

	candidates: PeerSource["candidates"] = async () => ({
		candidates: this.machines()
			.filter((machine) => machine.nodeId !== this.#options.nodeId)
			.flatMap((machine) => [...candidateOf(machine), ...(machine.hub ? [this.#asReached(machine)] : [])]),
		errors:
			this.#state === "connected"
				? []
				: [
						{
							source: this.name,
							kind: this.#state,
							message:
								this.#state === "removed"
									? "This machine was removed from the warren."
									: `The hub at ${this.#options.hubUrl} is away; these are the machines that it named last.`,
							fix: this.#state === "removed" ? "warren join URL" : "",
						},
					],
	});

	/** The hub's machine where this one reaches the hub, which may be no address that it knows of itself. */
	#asReached({ name, nodeId }: LinkedMachine): PeerCandidate {
		const { hostname, port, protocol } = new URL(this.#options.hubUrl);
		return {
			name,
			host: hostname.replace(/^\[|\]$/g, ""),
			port: Number(port || (protocol === "https:" ? 443 : 80)),
			nodeId: nodeId as NodeId,
		};
	}

	async close(): Promise<void> {
		this.#abort.abort(new Error("closed"));
		await this.#running;
		await this.#requests.close();
		this.#machineWatchers.clear();
		this.#stateWatchers.clear();
		this.#revocations.close();
	}

	async #run(): Promise<void> {
		const { clock, logger } = this.#deps;
		const backoff = new Backoff(hubLinkLimits.reconnect, this.#deps.random);
		const { signal } = this.#abort;
		while (!signal.aborted) {
			let reason = "";
			try {
				reason = await this.#session(() => backoff.reset());
			} catch (fault) {
				reason = messageOf(fault);
				if (fault instanceof WarrenError && fault.details["hubStatus"] === 401) this.#removed();
			}
			if (signal.aborted) return;
			if (this.#state !== "removed") this.#away(reason);
			logger.debug("hub link ended", { reason });
			const waitMs = this.#state === "removed" ? hubLinkLimits.removedMs : backoff.nextMs();
			await delay(clock, waitMs, signal).catch(() => {});
		}
	}

	/** One connection, from dial to end. @returns why it ended. */
	async #session(onLive: () => void): Promise<string> {
		// The heartbeat first: its 401 is a definite answer, which a WebSocket's close is too, but with less to say.
		await this.#beat();
		const { hubUrl, nodeToken, ca } = this.#options;
		const dialled = await dialWebSocket(`${hubUrl.replace(/^http/, "ws")}/v1/machines/watch`, this.#deps.clock, {
			headers: { authorization: `Bearer ${nodeToken}` },
			maxMessageBytes: hubLinkLimits.maxMessageBytes,
			...(ca === null ? {} : { tls: { ca } }),
			signal: this.#abort.signal,
		});
		if (!dialled.ok) return dialled.message;
		const { connection } = dialled;
		const ended = this.#listen(connection);
		const cut = () => void connection.close();
		this.#abort.signal.addEventListener("abort", cut, { once: true });
		try {
			await this.#fetchRevocations();
			this.#state = "connected";
			this.#failing = false;
			for (const watcher of this.#stateWatchers) watcher(true);
			onLive();
			this.#deps.health.clear(hubAway);
			this.#deps.health.clear(removedFromWarren);
			return await this.#live(ended);
		} finally {
			this.#abort.signal.removeEventListener("abort", cut);
			await connection.close();
		}
	}

	/** Heartbeats until the connection ends or one fails. */
	async #live(ended: Promise<string>): Promise<string> {
		for (;;) {
			const stop = new AbortController();
			const tick = delay(this.#deps.clock, hubLinkLimits.heartbeatMs, stop.signal).then(
				() => null,
				() => null,
			);
			const reason = await Promise.race([ended, tick]);
			stop.abort();
			if (reason !== null) return reason;
			await this.#beat();
			await this.#fetchRevocations();
		}
	}

	#listen(connection: WebSocketConnection): Promise<string> {
		return new Promise((resolve) => {
			connection.onClose((code, reason) => resolve(`closed with ${code} ${reason}`));
			connection.onMessage((data) => {
				let parsed: ReturnType<typeof messageSchema.safeParse>;
				try {
					parsed = messageSchema.safeParse(JSON.parse(data.toString("utf8")));
				} catch {
					// No JSON: judged like any other message that is not understood.
					parsed = messageSchema.safeParse(null);
				}
				// A newer hub may say more; what is not understood is left alone.
				if (parsed.success) this.#hear(parsed.data);
			});
		});
	}

	#hear(message: z.infer<typeof messageSchema>): void {
		switch (message.type) {
			case "machines":
				this.#machines = new Map(message.machines.map((machine) => [machine.nodeId, machine]));
				break;
			case "machine":
				this.#machines.set(message.machine.nodeId, message.machine);
				break;
			case "machine-removed":
				this.#machines.delete(message.nodeId);
				break;
		}
		this.#keep();
		for (const watcher of this.#machineWatchers) watcher();
	}

	async #beat(): Promise<void> {
		const { owner, sessionCookie } = await this.#requests.ask(selfSchema, "PUT", "/v1/machines/self", {
			token: this.#options.nodeToken,
			body: this.#options.self(),
			signal: this.#abort.signal,
		});
		if (owner.userId === this.#ownerId && sessionCookie === this.#sessionCookie) return;
		this.#ownerId = owner.userId;
		this.#sessionCookie = sessionCookie;
		this.#keep();
	}

	async #fetchRevocations(): Promise<void> {
		const { status, etag, body } = await this.#requests.send("GET", "/v1/revocations", {
			token: this.#options.nodeToken,
			...(this.#etag === undefined ? {} : { etag: this.#etag }),
			signal: this.#abort.signal,
		});
		if (status !== 200) return;
		const parsed = revocationsSchema.safeParse(body);
		if (!parsed.success || !this.#revocations.take(parsed.data.revocations, this.#deps.clock.now())) {
			this.#deps.logger.warn("a revocation list was refused", { hub: this.#options.hubUrl });
			return;
		}
		this.#etag = etag ?? undefined;
		this.#keep();
	}

	#away(reason: string): void {
		this.#state = "away";
		this.#failing = true;
		for (const watcher of this.#stateWatchers) watcher(false);
		this.#deps.health.raise(hubAway, { hub: this.#options.hubUrl, reason });
	}

	#removed(): void {
		this.#state = "removed";
		this.#deps.health.clear(hubAway);
		this.#deps.health.raise(removedFromWarren, { hub: this.#options.hubUrl });
	}

	#keep(): void {
		keepWords(this.#deps.logger, this.#options.file, {
			machines: this.machines(),
			revocations: this.#revocations.sealed,
			ownerId: this.#ownerId,
			sessionCookie: this.#sessionCookie,
		});
	}

	#load(): void {
		const kept = readKeptWords(this.#deps.logger, this.#options.file);
		if (kept === null) return;
		this.#machines = new Map(kept.machines.map((machine) => [machine.nodeId, machine]));
		this.#ownerId = kept.ownerId;
		this.#sessionCookie = kept.sessionCookie;
		if (kept.revocations !== null) this.#revocations.take(kept.revocations, this.#deps.clock.now());
	}
}

export interface HubLinkDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
}
