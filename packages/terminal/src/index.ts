/**
 * Terminals: tmux sessions over WebSocket, with their windows, history, uploads, shares and live events. The stream's
 * wire document and machines are behind the door `./protocol`, for browsers too.
 */
export { installLine, terminalConditions } from "./conditions.ts";
export { terminalRoutes } from "./routes/terminal-routes.ts";
export { type TerminalTables, terminalSchema } from "./schema.ts";
export { type Share, Shares, shareLimits, shareTokenPrefix } from "./shares.ts";
export {
	type SessionListing,
	type SessionView,
	type TerminalDeps,
	type TerminalOptions,
	TerminalService,
} from "./terminal-service.ts";
