export { nodePrimitives } from "./crypto/node-primitives.ts";
export { Device } from "./protocol/device.ts";
