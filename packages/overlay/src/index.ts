/**
 * The private mesh above WireGuard: coordinator (who is in, who sees whom), relay, and the CA that both sides trust. What
 * keeps a device in step with it, with paths and names, is behind a door of its own: `@warren/overlay/joiner`. It moves
 * no packets itself: it is handed an `OverlayDevice`.
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
export { labelOf, overlayDomain } from "./names/answer.ts";
export type { OverlayPeerId, PeerRecord, Ula, WireGuardKey } from "./protocol/peer-record.ts";
export { defaultDeny, type Policy, type PolicyReading, readPolicy, tagPattern } from "./protocol/policy.ts";
export { RosterMachine, rosterLimits } from "./protocol/roster-machine.ts";
export type { SubscriberId } from "./protocol/subscriber-queue.ts";
