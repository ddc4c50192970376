/**
 * WireGuard in TypeScript: the protocol as a machine without I/O, and the data planes that move its packets. Decides
 * nothing about who is a peer or which path is best: that is the overlay's.
 */
export { wireguardConditions } from "./conditions.ts";
export { openOverlayDevice } from "./device/open-device.ts";
export type { OverlayDeviceDeps, OverlayDeviceDetails, OverlayDeviceOptions } from "./device/overlay-device.ts";
