/**
 * Who may enter one node: its user and PIN, the devices that hold a token, the setup link, WebSocket tickets. Accounts
 * of people live at the hub (packages/accounts); this is the spare key that works without it.
 */
export { type Device, deviceLimits, deviceTokenPrefix } from "./devices.ts";
export { type AccessDeps, byPin, NodeAccess } from "./node-access.ts";
export { accessRoutes, memberCredentials } from "./routes.ts";
export { type AccessTables, accessSchema } from "./schema.ts";
export { type SetupDoor, SetupLink } from "./setup-link.ts";
