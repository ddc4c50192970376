/**
 * Other machines: who they are (sources, probes, pins) and the relay that reaches them through this node. Knows nothing
 * of what they serve.
 */
export { addressKey, type PeerAddress, peerIdOf } from "./address.ts";
export { PeerDirectory, type PeerRow } from "./directory.ts";
export type { PathKind } from "./path.ts";
export { Pins } from "./pins.ts";
export { type ProbeResult, probe } from "./probe.ts";
export { PeerPools } from "./relay/pools.ts";
export { type PeerRouteDeps, type PeerRoutes, peerRoutes } from "./routes.ts";
export { type PeerTables, peerSchema } from "./schema.ts";
export { ManualPeers } from "./sources/manual.ts";
export { TailscalePeers } from "./sources/tailscale.ts";
