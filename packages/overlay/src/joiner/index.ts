/**
 * The joiner's own door: its process, the one with network privileges, is on every machine and loads no coordinator.
 */
export { appUla } from "../addresses.ts";
export { tagPattern } from "../protocol/policy.ts";
export { publicKeyOf } from "../protocol/probe.ts";
export { linuxNetwork } from "./host-network.ts";
export { Joiner, type OpenDevice } from "./joiner.ts";
export { addStaticDevice, leaveOverlay, stockConfig } from "./static-device.ts";
