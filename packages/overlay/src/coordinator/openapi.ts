import { z } from "zod";
import { deregisterBody, heartbeatBody, punchBody, registerBody } from "./bodies.ts";

/** The routes for machines, as OpenAPI 3.1. */
export function coordinatorOpenApi(): object {
	const body = (schema: z.ZodType) => ({
		required: true,
		content: { "application/json": { schema: z.toJSONSchema(schema, { io: "input" }) } },
	});
	const answers = (...codes: readonly (readonly [number, string])[]) =>
		Object.fromEntries(codes.map(([code, description]) => [String(code), { description }]));
	const query = (name: string, required: boolean) => ({ name, in: "query", required, schema: { type: "string" } });
	return {
		openapi: "3.1.0",
		info: { title: "Warren coordinator", version: "1" },
		security: [{ mutualTls: [] }],
		components: { securitySchemes: { mutualTls: { type: "mutualTLS" }, admin: { type: "http", scheme: "bearer" } } },
		paths: {
			"/v1/mesh/register": {
				post: {
					requestBody: body(registerBody),
					responses: answers(
						[200, "peer_id, ula, peers, observed_ip, observed_endpoint"],
						[400, "bad key or ULA"],
						[401, "join token"],
						[403, "removed"],
						[409, "conflict"],
						[503, "exhausted"],
					),
				},
			},
			"/v1/mesh/heartbeat": {
				post: {
					requestBody: body(heartbeatBody),
					responses: answers(
						[200, "peers, observed_ip, observed_endpoint, pending_commands"],
						[403, "another machine's peer"],
						[404, "register again"],
					),
				},
			},
			"/v1/mesh/deregister": { post: { requestBody: body(deregisterBody), responses: answers([204, "gone"]) } },
			"/v1/mesh/punch": {
				post: { requestBody: body(punchBody), responses: answers([200, "initiated"], [404, "unknown or unseen"]) },
			},
			"/v1/mesh/peers/stream": {
				get: {
					parameters: [query("peer_id", true), query("deltas", false)],
					responses: answers(
						[
							200,
							"text/event-stream: peer_added, peer_updated, peer_removed, error, holepunch_initiate, relay_wake; with deltas=1 also peer_patched, snapshot_begin, snapshot_end, roster_resumed",
						],
						[401, "unknown peer"],
					),
				},
			},
			"/v1/mesh/roster": {
				get: { parameters: [query("peer_id", true)], responses: answers([200, "roster, signature, certificate"]) },
			},
			"/v1/mesh/relay": {
				get: {
					parameters: [query("pubkey", true), query("lane", true)],
					responses: answers([101, "frames: a 32-byte key, then a datagram"]),
				},
			},
			"/v1/mesh/peers": { get: { security: [{ admin: [] }], responses: answers([200, "peers, removed"]) } },
			"/v1/mesh/topology": { get: { security: [{ admin: [] }], responses: answers([200, "peers with their paths"]) } },
			"/v1/mesh/peers/{peer}": {
				delete: {
					security: [{ admin: [] }],
					parameters: [{ name: "peer", in: "path", required: true, schema: { type: "string" } }],
					responses: answers([204, "removed for good"], [404, "unknown"]),
				},
			},
			"/v1/policy": {
				get: { security: [{ admin: [] }], responses: answers([200, "the policy, with its ETag"]) },
				put: {
					security: [{ admin: [] }],
					responses: answers(
						[200, "replaced"],
						[412, "stale"],
						[422, "bad rule, or a failing test"],
						[428, "If-Match is missing"],
					),
				},
			},
			"/v1/policy/preview": {
				post: {
					security: [{ admin: [] }],
					responses: answers([200, "gained, lost"], [422, "bad rule, or a failing test"]),
				},
			},
			"/v1/policy/explain": {
				get: {
					security: [{ admin: [] }],
					parameters: [query("from", true), query("to", true), query("port", false), query("proto", false)],
					responses: answers([200, "allowed, visible, rule, reason"], [404, "unknown"]),
				},
			},
		},
	};
}
