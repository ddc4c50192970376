import type { Route } from "@warren/net";
import type { TerminalService } from "../terminal-service.ts";
import { historyRoutes } from "./history-routes.ts";
import { sessionRoutes } from "./session-routes.ts";
import { shareRoutes } from "./share-routes.ts";
import { socketRoutes } from "./socket-route.ts";
import { uploadRoutes } from "./upload-routes.ts";
import { windowRoutes } from "./window-routes.ts";

/** Sessions, windows, panes, history, uploads, shares, terminals and live events: docs/api-node.md. */
export function terminalRoutes(service: TerminalService): Route[] {
	return [
		...sessionRoutes(service),
		...windowRoutes(service),
		...historyRoutes(service),
		...uploadRoutes(service),
		...shareRoutes(service),
		...socketRoutes(service),
	];
}
