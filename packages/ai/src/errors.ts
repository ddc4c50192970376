import { defineErrors } from "@warren/kernel";

export const aiError = defineErrors({
	/** Never to be taken for a session that has ended: signing in again does not help. */
	no_provider_key: { status: 401 },
	unknown_provider: { status: 404 },
	path_not_allowed: { status: 403, fix: "Only inference and model lists pass; docs/api-ai.md has the table." },
	cookie_not_taken: { status: 403, fix: "Send the session's token in Authorization, x-api-key or x-goog-api-key." },
	people_only: { status: 403 },
	admin_only: { status: 403 },
	bad_origin: { status: 403, fix: "Programs send Authorization: Bearer instead of the cookie." },
	bad_policy: { status: 400 },
	bad_chat: { status: 400 },
	bad_setting: { status: 400 },
	unknown_budget: { status: 404 },
	unknown_run: { status: 404, fix: "Send the message again." },
	body_too_large: { status: 413 },
	over_budget: { status: 429, retryable: false, fix: "Wait for the reset, or ask an administrator for more." },
	rate_limited: { status: 429, retryable: true },
	too_many_streams: { status: 429, retryable: true, fix: "Let some of them end first." },
	provider_unreachable: { status: 502, retryable: true },
	provider_redirected: { status: 502 },
	provider_silent: { status: 504, retryable: true },
	ollama_not_configured: {
		status: 503,
		fix: "An administrator sets its address with PUT /api/settings/ollama-host, or OLLAMA_HOST.",
	},
	ollama_unreachable: { status: 502, retryable: true, fix: "Start it with: ollama serve" },
	ollama_in_cloud: { status: 403 },
});
