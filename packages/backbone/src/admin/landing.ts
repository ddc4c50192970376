import { dataHeaders, type RequestContext } from "@warren/net";

const endpoints = [
	["POST", "/principals", "none", "register as a principal"],
	["POST", "/principals/rotate", "principal cred", "a new credential; the old one and its URL tokens end"],
	["POST", "/url-tokens", "principal cred", "generate a signed URL"],
	["GET", "/healthz", "none", "health check"],
	["GET", "/.well-known/jwks.json", "none", "keys of x-mosb-jwt"],
	["POST", "/admin/api/tokens", "admin token", "create a service token"],
	["GET", "/admin/api/tokens", "admin token", "list service tokens"],
	["DELETE", "/admin/api/tokens/:id", "admin token", "revoke a service token"],
	["POST", "/admin/api/grants", "admin token", "grant principal → service"],
	["DELETE", "/admin/api/grants/:pid/:svc", "admin token", "revoke a grant"],
	["GET", "/admin/api/grants/:pid", "admin token", "list grants for principal"],
	["GET", "/admin/api/principals", "admin token", "list principals"],
	["PATCH", "/admin/api/principals/:cid", "admin token", "approve, limit"],
	["DELETE", "/admin/api/principals/:cid", "admin token", "revoke a principal"],
	["GET", "/admin/api/services", "admin token", "list services and their agents"],
	["PATCH", "/admin/api/services/:svc", "admin token", "settings, port, domains"],
	["DELETE", "/admin/api/services/:svc", "admin token", "take a service away"],
	["GET", "/admin/api/services/:svc/requests", "admin token", "what the inspector recorded"],
	["POST", "/admin/api/services/:svc/requests/:id/replay", "admin token", "send it again, as nobody"],
	["GET", "/admin/api/cluster", "admin token", "cluster node status"],
	["GET", "/admin/api/health", "admin token", "what is wrong, and what to do"],
	["GET", "/admin/api/audit", "admin token", "who changed what"],
	["GET", "/metrics", "admin token", "Prometheus"],
] as const;

/** The landing page: what this is, and how to use it, for people and programs alike. */
export function landingText(base: string, domain: string, serviceUrl: string): string {
	const rows = endpoints.map(
		([method, path, auth, what]) => `${method.padEnd(7)}${path.padEnd(48)}${auth.padEnd(16)}${what}`,
	);
	return `backbone — ${domain}
${"=".repeat(11 + domain.length)}
The backbone is a reverse tunnel: backend services open a persistent outbound connection to the backbone and receive
forwarded client requests through it. Clients reach a service at ${serviceUrl}.

── FOR BACKEND SERVICES ─────────────────────────────────────────────────────

1. Get a service token (admin only)
   POST ${base}/admin/api/tokens
   Authorization: Bearer <admin token>
   {"service_name": "myapp"}
   Response: {"token": "mosb_<service>_<secret>", "service": "myapp", ...}

2. Connect the agent tunnel
   BACKBONE_SERVICE_TOKEN=… warren agent --backbone ${base} --service myapp --target 127.0.0.1:8080
   The agent dials out (its own protocol, WebSocket or HTTP/2) and parks connections.

3. What the service receives
   x-mosb-sub               principal UUID (present when authenticated)
   x-mosb-name              display name
   x-mosb-email             email
   x-mosb-sub-id            sub-identity (present when the client sent an assertion)
   x-mosb-registered-name   x-mosb-registered-email: the principal's own, beside an assertion's
   x-mosb-jwt               the same, signed; keys at ${base}/.well-known/jwks.json
   Anonymous requests arrive with no x-mosb-* headers.

── FOR CLIENTS / PRINCIPALS ─────────────────────────────────────────────────

1. Register a principal
   POST ${base}/principals
   {"name": "Your Name", "email": "you@example.com", "note": "optional"}
   Response: {"credential": "mosb_pr_<id>_<key>", "principal": {...}}. The credential is shown ONCE.

2. Get access to a service (an admin grants it)
   POST ${base}/admin/api/grants
   Authorization: Bearer <admin token>
   {"principal_id": "<uuid>", "service": "myapp"}

3. Call a service with your identity
   x-backbone-principal: mosb_pr_<id>_<key>

4. Optional: sub-assertions
   x-backbone-assertion: <base64url(payload)>.<base64url(hmac)>
   payload: {"sub_id": "alice-session-7", "name": "Alice", "exp": <unix seconds>}, and aud, method, path, iat, jti to bind it
   hmac: HMAC-SHA256(derived_key, "assertion:" + base64url(payload))
   derived_key = HMAC-SHA256(master_secret, "mosb-principal-v1:<principal_id>:<key_version>"); your credential holds it.

5. Optional: pre-signed URLs
   POST ${base}/url-tokens
   x-backbone-principal: mosb_pr_<id>_<key>
   {"service": "myapp", "expires_in": 3600}
   Response: {"token": "...", "url": "${serviceUrl}?_mosb=<token>"}

── QUICK REFERENCE ──────────────────────────────────────────────────────────

${rows.join("\n")}

JSON? Send Accept: application/json
`;
}

export function landingJson(base: string, domain: string) {
	return {
		name: "backbone",
		domain,
		url: base,
		endpoints: endpoints.map(([method, path, auth, description]) => ({ method, path, auth, description })),
	};
}

/** JSON for programs; for a browser the same, readable. */
export function show(
	context: RequestContext,
	value: unknown,
	status = 200,
	headers: Record<string, string> = {},
): Response {
	const accept = context.headers.accept ?? "";
	if (!accept.includes("text/html") || accept.includes("application/json"))
		return Response.json(value, { status, headers: { ...dataHeaders, ...headers } });
	return new Response(`${readable(value, "")}\n`, {
		status,
		headers: { ...dataHeaders, ...headers, "content-type": "text/plain; charset=utf-8" },
	});
}

function readable(value: unknown, indent: string): string {
	if (Array.isArray(value))
		return value.length === 0 ? `${indent}(none)` : value.map((each) => readable(each, indent)).join("\n\n");
	if (typeof value !== "object" || value === null) return `${indent}${String(value)}`;
	return Object.entries(value)
		.map(([name, each]) =>
			typeof each === "object" && each !== null
				? `${indent}${name}:\n${readable(each, `${indent}  `)}`
				: `${indent}${name}: ${String(each)}`,
		)
		.join("\n");
}
