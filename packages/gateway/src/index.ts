/** Federation between warrens: the gateway's server and a node's link to it. Knows no rooms. */

export { Federation, type FederationOptions, type Registration } from "./link/federation.ts";
export { GatewayLink, type LinkDeps, type LinkSettings, type LinkState } from "./link/gateway-link.ts";
export { gatewayLinkSchema } from "./link/link-schema.ts";
export { federationRoutes } from "./link/routes.ts";
export { type GatewayDeps, type GatewayOptions, GatewayServer, gatewayServerLimits } from "./server/gateway-server.ts";
export type { GatewayStore } from "./server/gateway-store.ts";
export { openPostgresGatewayStore } from "./server/postgres-gateway-store.ts";
export { registryLimits } from "./server/registry.ts";
export { type GatewayTables, gatewaySchema } from "./server/schema.ts";
export { openSqliteGatewayStore } from "./server/sqlite-gateway-store.ts";
