/**
 * What one desktop serves to its own windows: workspaces (tables, rows, actions) over documents. The documents
 * themselves and their sync are packages/sync. Beside them runs the coding agent, whose models are at the hub.
 */
export { agentRoutes, hubSessionHeader } from "./agent/agent-routes.ts";
export { CodingAgents } from "./agent/agents.ts";
export type { DocumentFacts, DocumentHost, OpenDocument } from "./document-host.ts";
export { type Action, actionsOf } from "./workspaces/actions.ts";
export { type WorkspaceRouteDeps, workspaceKind, workspaceRoutes } from "./workspaces/routes.ts";
export { Workspace } from "./workspaces/workspace.ts";
export { type WorkspaceTool, workspaceTools } from "./workspaces/workspace-tools.ts";
