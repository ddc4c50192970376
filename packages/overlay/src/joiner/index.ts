/**
 * The joiner's own door: its process, the one with network privileges, is on every machine and loads no coordinator.
 */
export { appUla } from "../addresses.ts";
export { labelOf } from "../names/answer.ts";
export { tagPattern } from "../protocol/policy.ts";
export { publicKeyOf } from "../protocol/probe.ts";
export { linuxNetwork } from "./host-network.ts";
export { Joiner } from "./joiner.ts";
export { type HostedApp, type JoinerOptions, joinerLimits, type OpenDevice } from "./joiner-options.ts";
export { addStaticDevice, leaveOverlay, stockConfig } from "./static-device.ts";
