import type { Route } from "@warren/net";
import type { DocumentRoutesDeps, SyncRoutesDeps, SyncRoutesOptions } from "./exchange.ts";
import { historyRoutes } from "./history-routes.ts";
import { listRoutes } from "./list-routes.ts";
import { shareRoutes } from "./share-routes.ts";
import { socketRoutes } from "./socket-routes.ts";

/** Documents and their sync: docs/api-sync.md. */
export function syncRoutes(deps: SyncRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [...documentRoutes(deps, options), ...socketRoutes(deps, options)];
}

/** The documents without their sockets, which are served elsewhere. */
export function documentRoutes(deps: DocumentRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [...listRoutes(deps, options), ...shareRoutes(deps, options), ...historyRoutes(deps, options)];
}
