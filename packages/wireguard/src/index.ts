/**
 * WireGuard in TypeScript: the protocol as a machine without I/O, and the data planes that move its packets. Decides
 * nothing about who is a peer or which path is best: that is the overlay's.
 */
export { wireguardConditions } from "./conditions.ts";
export {
	type OverlayDeviceDeps,
	type OverlayDeviceDetails,
	type OverlayDeviceOptions,
	openOverlayDevice,
} from "./device/overlay-device.ts";
