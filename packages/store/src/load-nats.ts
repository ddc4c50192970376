/** What stands on NATS. Its library is loaded now: few processes share anything. */
export const loadNats = () => import("./nats/index.ts");
