/** The roles as compositions, for tests, benches and other hosts of them. */
export { type NodeConfig, parseNodeConfig } from "./config/node-config.ts";
export { type NodeReady, type NodeRole, openNode } from "./node/node-role.ts";
