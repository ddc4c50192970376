import type { Audit, Clock, HealthTable, Lifetime, Logger, Random, Tracer } from "@warren/kernel";
import type { Metrics } from "@warren/net";
import type { DataFolder } from "./config/data-folder.ts";

/** What every role of this process has before it is composed; parts add themselves to `lifetime`. */
export interface RoleBase {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly tracer?: Tracer | null | undefined;
	readonly lifetime: Lifetime;
	readonly data: DataFolder;
	readonly health: HealthTable;
	readonly audit: Audit;
	readonly metrics: Metrics;
}
