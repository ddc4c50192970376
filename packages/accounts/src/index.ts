/**
 * People, sessions, devices, invitations, machines that join, device tickets: the hub's accounts, and what nodes and
 * sidecars need to believe them. A node's own user and PIN live in packages/access.
 */
export { type Accounts, type AccountsDeps, type AccountsOptions, openAccounts } from "./accounts.ts";
export type { SetupSecret } from "./auth/admission.ts";
export { isRevoked, type Revoked } from "./revoked.ts";
export { type AccountsTables, accountsSchema } from "./schema.ts";
