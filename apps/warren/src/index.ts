/** The roles as compositions, for tests, benches and other hosts of them. */

export { type HubConfig, parseHubConfig } from "./config/hub-config.ts";
export { type NodeConfig, parseNodeConfig } from "./config/node-config.ts";
export { parseSidecarConfig, type SidecarConfig } from "./config/sidecar-config.ts";
export { type HubReady, type HubRole, openHub } from "./hub/hub-role.ts";
export { type NodeReady, type NodeRole, openNode } from "./node/node-role.ts";
export { openSidecarRole, type SidecarReady, type SidecarRole } from "./sidecar/sidecar-role.ts";
