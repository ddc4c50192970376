import type { Clock, ConditionKind, HealthTable, Lifetime, Logger } from "@warren/kernel";
import { type Bus, type KeyValue, loadNats, openPostgresTables, type Schema, type Tables } from "@warren/store";
import type { ClusterConfig } from "../config/cluster-config.ts";
import { progressSchema } from "../migrate/progress.ts";

const plainBackends: ConditionKind = {
	code: "plain-backends",
	severity: "warning",
	title: "PostgreSQL or NATS is reached over a network without TLS.",
	advice: "Give their CA with --database-ca and --nats-ca, unless that network is private already.",
	delayMs: 0,
};

/** What several instances of a role have in common. */
export interface SharedState<DB> {
	readonly tables: Tables<DB>;
	readonly bus: Bus;
	readonly keyValue: KeyValue;
}

/**
 * Connects to both backends, which the caller's lifetime then owns.
 * @param role begins the bucket's name: roles share a server, not their keys.
 * @param maxAgeMs of what the bucket holds, where those are leases alone.
 * @throws WarrenError `store_unreadable`, `store_newer`, `store_away`.
 */
export async function openSharedState<DB>(
	base: {
		readonly lifetime: Lifetime;
		readonly health: HealthTable;
		readonly logger: Logger;
		readonly clock: Clock;
	},
	config: ClusterConfig,
	role: string,
	schemas: readonly Schema[],
	maxAgeMs?: number,
): Promise<SharedState<DB>> {
	const { lifetime, health, logger, clock } = base;
	if (config.plain) health.raise(plainBackends);
	const { Nats, NatsBus, NatsKeyValue } = await loadNats();
	// NATS first: it writes nothing, so that half a configuration starts nothing.
	const nats = lifetime.own(await Nats.open(config.nats, { logger, health }));
	const tables = lifetime.own(await openPostgresTables<DB>(config.postgres, [...schemas, progressSchema], { health }));
	const keyValue = lifetime.own(
		await NatsKeyValue.open(nats, role, { clock, logger }, maxAgeMs === undefined ? {} : { maxAgeMs }),
	);
	return { tables, bus: new NatsBus(nats, logger), keyValue };
}
