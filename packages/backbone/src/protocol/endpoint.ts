/** Where an agent parks its connections: `GET /tunnel` with `Upgrade: warren-tunnel` or `websocket`, or an HTTP/2 POST. */
export const tunnelPath = "/tunnel";
/** A visitor's way to a TCP or UDP service: `/forward/<service>`, upgraded likewise. */
export const forwardPath = "/forward/";
/** Name of the upgrade, and of the WebSocket subprotocol. */
export const tunnelProtocol = "warren-tunnel";
/** In the 101 of `/forward`: `tcp` or `udp`, and so what the visitor's OPEN must say. Absent = tcp: servers of before. */
export const serviceKindHeader = "x-warren-service-kind";
/** …of a connection that many links share (`lanes.ts`). */
export const sharedProtocol = "warren-tunnel-shared";
/** One process: 8 to 64 of A-Z a-z 0-9 _ -. All links of one agent carry the same. */
export const agentHeader = "x-warren-agent";
/** A name that lasts: a newer process with it replaces the older one. */
export const agentNameHeader = "x-warren-agent-name";
