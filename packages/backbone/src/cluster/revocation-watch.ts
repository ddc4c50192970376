import {
	type Clock,
	type Closeable,
	closeCodes,
	type HealthTable,
	type Logger,
	messageOf,
	type Timer,
} from "@warren/kernel";
import type { Changes } from "../changes.ts";
import type { Principals } from "../identity/principals.ts";
import type { AgentPool } from "../server/agents/agent-pool.ts";
import type { Running } from "../server/front.ts";
import type { Services } from "../server/services.ts";
import { clusterConditions } from "./conditions.ts";

export const revocationLimits = {
	/** What is open is looked up again this often, should news have been lost. */
	everyMs: 10_000,
	/** …and this often while no news can come. */
	awayMs: 1_000,
	/** What could not be looked up for so long is cut. */
	failClosedMs: 30_000,
} as const;

export interface RevocationWatchDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly changes: Changes;
	readonly principals: Principals;
	readonly services: Services;
	readonly pool: AgentPool;
	/** What runs here now, over whatever protocol. */
	readonly running: () => Iterable<Running>;
	readonly disconnect: (matches: (running: Running) => boolean) => void;
}

/** Ends at this node what was revoked at another: by its news, and without them by looking. */
export class RevocationWatch implements Closeable {
	readonly #deps: RevocationWatchDeps;
	readonly #open: Closeable[];
	#timer: Timer;
	#checkedAt: number;
	#closed = false;

	constructor(deps: RevocationWatchDeps) {
		this.#deps = deps;
		this.#checkedAt = deps.clock.monotonic();
		this.#timer = this.#arm();
		this.#open = [
			deps.changes.hear((change) => {
				if (change.of === "principal") void this.#look(() => this.#cutRevoked(change.id));
			}),
			deps.changes.onResumed(() => void this.#look(() => this.#lookAtAll())),
		];
	}

	close(): void {
		this.#closed = true;
		this.#timer.cancel();
		for (const each of this.#open) void each.close();
	}

	#arm(): Timer {
		const { clock, changes } = this.#deps;
		// At the short pace, so that news that stop coming are noticed.
		return clock.after(revocationLimits.awayMs, () => {
			const isDue = !changes.connected || clock.monotonic() - this.#checkedAt >= revocationLimits.everyMs;
			void (isDue ? this.#look(() => this.#lookAtAll()) : Promise.resolve()).then(() => {
				if (!this.#closed) this.#timer = this.#arm();
			});
		});
	}

	async #look(work: () => Promise<void>): Promise<void> {
		const { clock, logger, health, disconnect } = this.#deps;
		try {
			await work();
			health.clear(clusterConditions.unchecked);
		} catch (fault) {
			logger.warn("revocations could not be looked up", { fault: messageOf(fault) });
			if (clock.monotonic() - this.#checkedAt < revocationLimits.failClosedMs) return;
			health.raise(clusterConditions.unchecked);
			disconnect((each) => each.principalId !== null);
		}
	}

	async #lookAtAll(): Promise<void> {
		const { clock, services, pool } = this.#deps;
		const startedAt = clock.monotonic();
		await this.#cutRevoked(null);
		await services.reload();
		// Before the tokens are read: an agent that comes meanwhile may have come with a newer one.
		const shown = new Set([...pool.services()].flatMap(({ own }) => own.map(({ tokenId }) => tokenId)));
		const tokens = new Set((await services.tokens()).map(({ id }) => id));
		pool.disconnect(
			(service, { isPeer, tokenId }) =>
				!isPeer && ((shown.has(tokenId) && !tokens.has(tokenId)) || services.get(service) === null),
			closeCodes.signIn,
			"the service token was revoked",
		);
		this.#checkedAt = startedAt;
	}

	/** @param only of one principal; null = of all. */
	async #cutRevoked(only: string | null): Promise<void> {
		const { running, disconnect, principals } = this.#deps;
		const open = new Map<string, Running & { readonly principalId: string }>();
		for (const each of running()) {
			const { principalId, keyVersion, service } = each;
			if (principalId !== null && (only === null || principalId === only))
				open.set(`${principalId} ${keyVersion} ${service}`, { ...each, principalId });
		}
		for (const { principalId, keyVersion, service } of open.values()) {
			if (await principals.mayReach(principalId, service, keyVersion)) continue;
			disconnect(
				(each) => each.principalId === principalId && each.keyVersion === keyVersion && each.service === service,
			);
		}
	}
}
