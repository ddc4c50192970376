/**
 * People, sessions, devices, invitations, machines that join, device tickets: the hub's accounts, and what nodes and
 * sidecars need to believe them. A node's own user and PIN live in packages/access.
 */
export type { Accounts, AccountsDeps, AccountsOptions } from "./accounts.ts";
export type { SetupSecret } from "./auth/admission.ts";
export { readSocialVariables, type SocialProviders } from "./auth/social.ts";
export { pageOriginHeader, vouchHeader } from "./client-address.ts";
export { hubAway, removedFromWarren } from "./link/conditions.ts";
export { HubLink, type HubLinkDeps, type HubLinkOptions } from "./link/hub-link.ts";
export { HubRequests } from "./link/hub-requests.ts";
export { type Joined, joinWarren } from "./link/join-client.ts";
export type { LinkedMachine } from "./link/linked-machine.ts";
export { formatJoinCode, type JoinCode, joinFingerprint, parseJoinCode } from "./machines/join-code.ts";
export type { IssueLeaf, JoinDeps } from "./machines/machine-routes.ts";
export { type Machine, type MachineChange, type MachineFacts, machineLimits } from "./machines/machines.ts";
export { openAccounts } from "./open-accounts.ts";
export { isRevoked, type Revoked } from "./revoked.ts";
export { type AccountsTables, accountsSchema } from "./schema.ts";
export { type AskHub, type KnownSessions, SessionClient, type SessionUser } from "./session-client.ts";
export { SessionMemory, type SessionMemoryTables, sessionMemorySchema } from "./session-memory.ts";
export { HubSetup, hubSetupLimits } from "./setup-secret.ts";
export { type DeviceKey, proofMessage, thumbprint, verifyProof } from "./tickets/device-key.ts";
export { Enrolled, type EnrolledTables, enrolledSchema } from "./tickets/enrolled.ts";
export { openRevocations, type RevocationList } from "./tickets/revocation-list.ts";
export {
	type TicketKey,
	type TicketPayload,
	type TicketVerdict,
	ticketKeySchema,
	verifyTicket,
} from "./tickets/ticket.ts";
export { ticketRoutes } from "./tickets/ticket-routes.ts";
