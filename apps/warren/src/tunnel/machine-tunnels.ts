import type { Duplex } from "node:stream";
import { Visitor } from "@warren/backbone";
import {
	type Clock,
	type Closeable,
	type Logger,
	messageOf,
	type NodeId,
	type PeerTunnel,
	type Timer,
	WarrenError,
} from "@warren/kernel";
import { z } from "zod";
import type { BackboneBeside } from "../backbone/backbone-beside.ts";
import { askBackbone, type ConsoleAddress } from "../backbone/backbone-console.ts";
import type { DataFolder } from "../config/data-folder.ts";
import { lookupOwn } from "../config/own-lookup.ts";
import { machineService, type TunnelGrant } from "./tunnel-grant.ts";

const fileName = "machine-tunnels.json";
const fileSchema = z.object({
	/** The hub's own leave to every machine. Holds a secret. */
	own: z.object({ principalId: z.string(), credential: z.string() }).nullable(),
	machines: z.record(z.string(), z.object({ tokenId: z.string(), principalId: z.string() })),
	/** Of the admin API: what has no machine, or no longer, and is to be taken away there. */
	leaving: z.array(z.string()).default([]),
});
type Kept = z.infer<typeof fileSchema>;
/** What could not be taken away is tried again after so long. */
const retryMs = 60_000;

export interface MachineTunnelsDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly data: DataFolder;
	readonly backbone: BackboneBeside;
}

/**
 * The floor of reach, at the first machine: each joined machine parks a tunnel at the backbone beside it, as a TCP
 * service that only the warren's machines are granted. What travels inside is TLS of the two machines' own.
 */
export class MachineTunnels implements PeerTunnel<Duplex>, Closeable {
	readonly #deps: MachineTunnelsDeps;
	#kept: Kept;
	#visitor: Visitor | null = null;
	/** One change at a time: each reads the file and writes it. */
	#last: Promise<unknown> = Promise.resolve();
	#retry: Timer | null = null;
	#closed = false;

	constructor(deps: MachineTunnelsDeps) {
		this.#deps = deps;
		const text = deps.data.read(fileName);
		this.#kept = fileSchema.parse(text === null ? { own: null, machines: {} } : JSON.parse(text));
		deps.backbone.watch(() => {
			this.#renew();
			void this.#alone(() => this.#takeAwayOrRetry());
		});
	}

	leadsTo(nodeId: NodeId): boolean {
		return this.#visitor !== null && this.#kept.machines[nodeId] !== undefined;
	}

	async open(nodeId: NodeId, signal: AbortSignal): Promise<Duplex> {
		if (this.#visitor === null) this.#deps.backbone.need();
		return (this.#visitor as Visitor).open(machineService(nodeId), signal);
	}

	/** A new token and credential for a machine; what it had before dies. @throws WarrenError `backbone_down`, `no_backbone`. */
	admit(nodeId: NodeId, name: string): Promise<TunnelGrant> {
		return this.#alone(async () => {
			try {
				return await this.#admit(this.#deps.backbone.need(), nodeId, name);
			} finally {
				await this.#takeAwayOrRetry();
			}
		});
	}

	/** A machine was removed from the warren: its tunnel is cut, and it opens none. With the backbone down, as soon as it is back. */
	forget(nodeId: string): Promise<void> {
		return this.#alone(async () => {
			const before = this.#kept.machines[nodeId];
			if (before === undefined) return;
			const { [nodeId]: _gone, ...machines } = this.#kept.machines;
			const leaving = [principalPath(before.principalId), `/admin/api/services/${machineService(nodeId)}`];
			this.#keep({ ...this.#kept, machines, leaving: [...this.#kept.leaving, ...leaving] });
			await this.#takeAwayOrRetry();
		});
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#retry?.cancel();
		await this.#last;
		this.#visitor?.close();
	}

	async #admit(backbone: ConsoleAddress, nodeId: NodeId, name: string): Promise<TunnelGrant> {
		// What was left behind may have the name that this makes.
		await this.#takeAway(backbone);
		await this.#ensureOwn(backbone);
		const service = machineService(nodeId);
		const before = this.#kept.machines[nodeId];
		const made = await askBackbone<{ token: string; id: string }>(backbone, "POST", "/admin/api/tokens", {
			service_name: service,
			kind: "tcp",
			// No port of its own: the only way to it is a grant.
			settings: { require_identity: true },
		});
		// Nobody's until the machine is admitted: a try that fails leaves nothing for good.
		this.#keep({ ...this.#kept, leaving: [tokenPath(made.id)] });
		const principal = await askBackbone<{ principal_id: string; credential: string }>(
			backbone,
			"POST",
			"/admin/api/principals",
			{ name: printable(name), email: `${nodeId}@machines.warren.internal`, note: "a machine of this warren" },
		);
		this.#keep({ ...this.#kept, leaving: [tokenPath(made.id), principalPath(principal.principal_id)] });
		const others = Object.entries(this.#kept.machines).filter(([id]) => id !== nodeId);
		await this.#grant(backbone, this.#kept.own?.principalId ?? "", service);
		for (const [id, other] of others) {
			await this.#grantIfKnown(backbone, principal.principal_id, machineService(id));
			await this.#grantIfKnown(backbone, other.principalId, service);
		}
		this.#keep({
			...this.#kept,
			machines: {
				...this.#kept.machines,
				[nodeId]: { tokenId: made.id, principalId: principal.principal_id },
			},
			leaving: before === undefined ? [] : [tokenPath(before.tokenId), principalPath(before.principalId)],
		});
		const port = Number(new URL(backbone.url).port);
		return { port, ca: backbone.ca, service, token: made.token, credential: principal.credential };
	}

	/** @throws WarrenError as the backbone answered. */
	async #ensureOwn(backbone: ConsoleAddress): Promise<void> {
		const { own } = this.#kept;
		if (own !== null && (await this.#isKnown(backbone, own.principalId))) return;
		// A backbone that lost its tables knows no machine either: each is admitted anew when its token is refused.
		const made = await askBackbone<{ principal_id: string; credential: string }>(
			backbone,
			"POST",
			"/admin/api/principals",
			{ name: "this warren's hub", email: "hub@machines.warren.internal", note: "reaches the machines" },
		);
		const { principal_id: principalId, credential } = made;
		this.#keep({ ...this.#kept, own: { principalId, credential }, machines: {} });
		this.#renew();
	}

	async #isKnown(backbone: ConsoleAddress, principalId: string): Promise<boolean> {
		try {
			await askBackbone(backbone, "GET", `/admin/api/grants/${principalId}`);
			return true;
		} catch (refused) {
			if (refused instanceof WarrenError && refused.code === "unknown_principal") return false;
			throw refused;
		}
	}

	async #grant(backbone: ConsoleAddress, principalId: string, service: string): Promise<void> {
		await askBackbone(backbone, "POST", "/admin/api/grants", { principal_id: principalId, service });
	}

	/** Between two machines: one whose principal or service an administrator took away keeps no other one out. */
	async #grantIfKnown(backbone: ConsoleAddress, principalId: string, service: string): Promise<void> {
		try {
			await this.#grant(backbone, principalId, service);
		} catch (refused) {
			if (!(refused instanceof WarrenError) || !takenAway.has(refused.code)) throw refused;
			this.#deps.logger.warn("a machine is not let in to another's tunnel", { principalId, fault: refused.message });
		}
	}

	/** @throws WarrenError as the backbone answered: what is still there is kept in mind. */
	async #takeAway(backbone: ConsoleAddress): Promise<void> {
		while (this.#kept.leaving.length > 0) {
			const [path = "", ...leaving] = this.#kept.leaving;
			try {
				await askBackbone(backbone, "DELETE", path);
			} catch (refused) {
				// What is gone already harms nobody.
				if (!(refused instanceof WarrenError) || !takenAway.has(refused.code)) throw refused;
			}
			this.#keep({ ...this.#kept, leaving });
		}
	}

	async #takeAwayOrRetry(): Promise<void> {
		this.#retry?.cancel();
		if (this.#closed || this.#kept.leaving.length === 0) return;
		const { backbone, clock, logger } = this.#deps;
		try {
			await this.#takeAway(backbone.need());
		} catch (fault) {
			logger.warn("what a machine had at the backbone stays for now", { fault: messageOf(fault) });
			if (this.#closed) return;
			this.#retry = clock.after(retryMs, () => void this.#alone(() => this.#takeAwayOrRetry()));
		}
	}

	#renew(): void {
		this.#visitor?.close();
		const address = this.#deps.backbone.address();
		const credential = this.#kept.own?.credential;
		this.#visitor =
			address === null || credential === undefined
				? null
				: new Visitor(this.#deps.clock, {
						target: { url: new URL(address.url), tls: { ca: address.ca, lookup: lookupOwn } },
						credential,
					});
	}

	#keep(kept: Kept): void {
		this.#deps.data.write(`${JSON.stringify(kept, null, "\t")}\n`, fileName);
		this.#kept = kept;
	}

	#alone<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last.then(work);
		this.#last = result.catch(() => {});
		return result;
	}
}

/** What the backbone says of one that is gone; a revoked principal is a conflict. */
const takenAway: ReadonlySet<string> = new Set(["unknown_principal", "unknown_service", "unknown_token", "conflict"]);

function tokenPath(id: string): string {
	return `/admin/api/tokens/${id}`;
}

function principalPath(id: string): string {
	return `/admin/api/principals/${id}`;
}

/** As the backbone takes names: they stand in headers. */
function printable(name: string): string {
	const ascii = name.replace(/[^\x20-\x7e]/g, "?").trim();
	return ascii === "" ? "machine" : ascii.slice(0, 60);
}
