/** Documents: the Yjs relay of hub and sidecar, its log, discovery, and the link between two relays. */
export { syncError } from "./errors.ts";
