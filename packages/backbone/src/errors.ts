import { defineErrors } from "@warren/kernel";

export const backboneError = defineErrors({
	unauthorized: { status: 401 },
	forbidden: { status: 403 },
	unknown_service: { status: 404 },
	unknown_principal: { status: 404 },
	unknown_token: { status: 404 },
	unknown_request: { status: 404 },
	conflict: { status: 409 },
	bad_request: { status: 400 },
	too_many: { status: 429, retryable: true },
	full: { status: 507, fix: "Revoke what is not used." },
	no_agent: { status: 503, retryable: true },
	no_stream: { status: 502, retryable: true },
	secret_unreadable: { status: 500 },
	no_signing_keys: { status: 500, fix: "Start the node that has backbone/jwt.key first." },
	no_ports: { status: 507, fix: "Widen the range with --stream-ports FIRST-LAST." },
});
