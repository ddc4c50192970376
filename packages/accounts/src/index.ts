/**
 * People, sessions, devices, invitations, machines that join, device tickets: the hub's accounts, and what nodes and
 * sidecars need to believe them. A node's own user and PIN live in packages/access.
 */
export { type Accounts, type AccountsDeps, type AccountsOptions, openAccounts } from "./accounts.ts";
export type { SetupSecret } from "./auth/admission.ts";
export { formatJoinCode, type JoinCode, joinFingerprint, parseJoinCode } from "./machines/join-code.ts";
export type { IssueLeaf, JoinDeps } from "./machines/machine-routes.ts";
export { type Machine, type MachineChange, type MachineFacts, machineLimits } from "./machines/machines.ts";
export { isRevoked, type Revoked } from "./revoked.ts";
export { type AccountsTables, accountsSchema } from "./schema.ts";
export { type DeviceKey, proofMessage, thumbprint, verifyProof } from "./tickets/device-key.ts";
export { openRevocations, type RevocationList } from "./tickets/revocation-list.ts";
export {
	type TicketKey,
	type TicketPayload,
	type TicketVerdict,
	ticketKeySchema,
	verifyTicket,
} from "./tickets/ticket.ts";
export { ticketRoutes } from "./tickets/ticket-routes.ts";
