import type { Route } from "@warren/net";
import type { SyncRoutesDeps, SyncRoutesOptions } from "./exchange.ts";
import { historyRoutes } from "./history-routes.ts";
import { listRoutes } from "./list-routes.ts";
import { shareRoutes } from "./share-routes.ts";
import { socketRoutes } from "./socket-routes.ts";

/** Documents and their sync: docs/api-sync.md. */
export function syncRoutes(deps: SyncRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		...listRoutes(deps, options),
		...shareRoutes(deps, options),
		...historyRoutes(deps, options),
		...socketRoutes(deps, options),
	];
}
