/**
 * What one desktop serves to its own windows: workspaces (tables, rows, actions) over documents. The documents
 * themselves and their sync are packages/sync; the coding agent comes later.
 */
export type { DocumentFacts, DocumentHost, OpenDocument } from "./document-host.ts";
export { type Action, actionsOf } from "./workspaces/actions.ts";
export { type WorkspaceRouteDeps, workspaceKind, workspaceRoutes } from "./workspaces/routes.ts";
export { Workspace } from "./workspaces/workspace.ts";
