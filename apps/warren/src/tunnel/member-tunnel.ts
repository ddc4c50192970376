import type { Duplex } from "node:stream";
import { HubRequests } from "@warren/accounts";
import { Visitor } from "@warren/backbone";
import {
	Backoff,
	type Clock,
	type Closeable,
	type ConditionKind,
	defineErrors,
	delay,
	type HealthTable,
	type Logger,
	messageOf,
	type NodeId,
	type PeerTunnel,
	type Random,
	WarrenError,
} from "@warren/kernel";
import { type AgentRole, openAgents } from "../backbone/agent-role.ts";
import type { DataFolder } from "../config/data-folder.ts";
import type { Membership } from "../hub/membership.ts";
import type { RoleRow } from "../node/role-part.ts";
import { machineService, type TunnelGrant, tunnelGrantSchema } from "./tunnel-grant.ts";

const tunnelError = defineErrors({ no_tunnel: { status: 502, retryable: true } });

export const memberTunnelLimits = {
	ask: { firstMs: 500, maxMs: 60_000 },
	/** A hub of before tunnels, or one without a backbone, is asked this seldom. */
	unknownMs: 10 * 60_000,
} as const;

const tunnelAway: ConditionKind = {
	code: "tunnel-away",
	severity: "warning",
	title: "This machine's tunnel at {hub} is not parked: {reason}",
	advice: "Without it, it is reached only where its addresses are. It is tried again by itself.",
	delayMs: 60_000,
};

const fileName = "tunnel.json";

export interface MemberTunnelDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly data: DataFolder;
	readonly onChange: () => void;
}

/**
 * A joined machine's floor: its own tunnel, parked at the first machine's backbone for as long as it runs, and the ways
 * to the other machines through theirs. What the hub granted is kept, so that it parks without the hub as well.
 */
export class MemberTunnel implements PeerTunnel<Duplex>, Closeable {
	readonly #deps: MemberTunnelDeps;
	readonly #membership: Membership;
	/** Its node's own listener. */
	readonly #target: { readonly host: string; readonly port: number };
	readonly #hub: HubRequests;
	readonly #agents: AgentRole;
	readonly #abort = new AbortController();
	#grant: TunnelGrant | null;
	#visitor: Visitor | null = null;
	#failure: string | null = null;
	#since: number;
	#running: Promise<void> = Promise.resolve();
	#asking = false;

	private constructor(deps: MemberTunnelDeps, membership: Membership, target: { host: string; port: number }) {
		this.#deps = deps;
		this.#membership = membership;
		this.#target = target;
		this.#hub = new HubRequests(membership.hubUrl, membership.ca);
		this.#agents = openAgents(deps, [], () => this.#changed());
		this.#since = deps.clock.now();
		const text = deps.data.read(fileName);
		this.#grant = text === null ? null : (tunnelGrantSchema.safeParse(JSON.parse(text)).data ?? null);
	}

	/** Starts; never waits for the hub. */
	static open(deps: MemberTunnelDeps, membership: Membership, target: { host: string; port: number }): MemberTunnel {
		const tunnel = new MemberTunnel(deps, membership, target);
		tunnel.#running = tunnel.#start();
		return tunnel;
	}

	/** As `status` shows it. */
	get row(): RoleRow {
		const isOnline = this.#state?.state === "online";
		return {
			name: "tunnel",
			state: isOnline ? "running" : "restarting",
			since: this.#since,
			...(isOnline ? {} : { error: this.#reason }),
		};
	}

	leadsTo(nodeId: NodeId): boolean {
		return this.#visitor !== null && nodeId !== this.#membership.nodeId;
	}

	async open(nodeId: NodeId, signal: AbortSignal): Promise<Duplex> {
		if (this.#visitor === null) throw tunnelError("no_tunnel", `This machine has no tunnel yet: ${this.#reason}`);
		return this.#visitor.open(machineService(nodeId), signal);
	}

	async close(): Promise<void> {
		this.#abort.abort(new Error("closed"));
		await this.#running;
		await this.#agents.close();
		this.#visitor?.close();
		await this.#hub.close();
	}

	get #state() {
		return this.#agents.status()[0]?.state;
	}

	get #reason(): string {
		const state = this.#state;
		if (state?.state === "stopped") return state.reason;
		return (state?.state === "connecting" ? state.lastFailure : null) ?? this.#failure ?? "it is being set up.";
	}

	async #start(): Promise<void> {
		if (this.#grant !== null) await this.#park(this.#grant);
		else await this.#ask();
	}

	/** Until the hub has granted. */
	async #ask(): Promise<void> {
		this.#asking = true;
		try {
			await this.#askAndPark();
		} finally {
			this.#asking = false;
		}
	}

	async #askAndPark(): Promise<void> {
		const { clock, random, logger, data } = this.#deps;
		const backoff = new Backoff(memberTunnelLimits.ask, random);
		const { signal } = this.#abort;
		while (!signal.aborted) {
			let waitMs = backoff.nextMs();
			try {
				const grant = await this.#hub.ask(tunnelGrantSchema, "POST", "/v1/machines/self/tunnel", {
					token: this.#membership.nodeToken,
					body: {},
					signal,
				});
				data.write(JSON.stringify(grant), fileName);
				this.#grant = grant;
				return await this.#park(grant);
			} catch (failure) {
				this.#failure = messageOf(failure);
				const status = failure instanceof WarrenError ? failure.details["hubStatus"] : undefined;
				if (status === 404 || status === 409 || status === 401) waitMs = memberTunnelLimits.unknownMs;
				if (!signal.aborted) logger.debug("no tunnel was granted", { fault: this.#failure });
			}
			this.#tell();
			await delay(clock, waitMs, signal).catch(() => {});
		}
	}

	async #park(grant: TunnelGrant): Promise<void> {
		const { hubUrl, nodeId } = this.#membership;
		const url = new URL(hubUrl);
		url.port = String(grant.port);
		this.#visitor?.close();
		this.#visitor = new Visitor(this.#deps.clock, {
			target: { url, tls: { ca: grant.ca } },
			credential: grant.credential,
		});
		await this.#agents.reload([
			{
				backbone: url,
				ca: grant.ca,
				service: grant.service,
				token: grant.token,
				target: this.#target,
				transport: "parked",
				// A process that was killed may still be counted: this one takes over.
				name: nodeId,
				proxyProtocol: false,
			},
		]);
	}

	#changed(): void {
		this.#since = this.#deps.clock.now();
		this.#tell();
		this.#deps.onChange();
		// The token is refused: the backbone was made anew, or somebody admitted this machine again.
		if (this.#state?.state !== "stopped" || this.#asking || this.#abort.signal.aborted) return;
		this.#failure = this.#reason;
		this.#running = this.#ask();
	}

	#tell(): void {
		const { health } = this.#deps;
		if (this.#state?.state === "online") health.clear(tunnelAway);
		else health.raise(tunnelAway, { hub: this.#membership.hubUrl, reason: this.#reason });
	}
}
