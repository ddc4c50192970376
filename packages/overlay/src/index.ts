/**
 * The private mesh above WireGuard: coordinator (who is in, who sees whom), joiner (keeps a device in step with it),
 * paths, relay, names, and the CA that both sides trust. Moves no packets itself: it is handed an `OverlayDevice`.
 */
export {
	appBlock,
	appPort,
	appUla,
	canonicalUla,
	keyOf,
	parseAppUla,
	parseKey,
	peerBlock,
	peerUla,
} from "./addresses.ts";
export { AuthorityFolder, authorityFolderLimits, type IssuedPeer } from "./authority/authority-folder.ts";
export { coordinatorSchema, SqliteAddressStore } from "./coordinator/address-store.ts";
export { Coordinator, type CoordinatorDeps, type CoordinatorOptions } from "./coordinator/coordinator.ts";
export { readCertificate } from "./coordinator/credentials.ts";
export { type JoinAuthority, joinAuthorityAt, joinAuthorityFrom } from "./coordinator/join-authority.ts";
export { openRevocationFile } from "./coordinator/revocation-file.ts";
export { SharedCoordinatorState, sharedCoordinatorSchema } from "./coordinator/shared-state.ts";
export { StunServer } from "./coordinator/stun-server.ts";
export { overlayError } from "./errors.ts";
export { type HostNetwork, linuxNetwork } from "./joiner/host-network.ts";
export {
	type HostedApp,
	Joiner,
	type JoinerDeps,
	type JoinerOptions,
	type OpenDevice,
	type OpenDeviceOptions,
} from "./joiner/joiner.ts";
export { addStaticDevice, leaveOverlay, type StaticDeviceDeps, stockConfig } from "./joiner/static-device.ts";
export type { OverlayPeerId, PeerRecord, Ula, WireGuardKey } from "./protocol/peer-record.ts";
export { defaultDeny, type Policy, type PolicyReading, readPolicy, tagPattern } from "./protocol/policy.ts";
export { publicKeyOf } from "./protocol/probe.ts";
export { RosterMachine, rosterLimits } from "./protocol/roster-machine.ts";
export type { SubscriberId } from "./protocol/subscriber-queue.ts";
