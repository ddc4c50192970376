import { defineErrors } from "@warren/kernel";

export const agentError = defineErrors({
	no_opencode: {
		status: 503,
		fix: "Install it with: npm install -g opencode-ai@1.18.33   or name its program in WARREN_OPENCODE.",
	},
	agent_not_ready: { status: 503, retryable: true, fix: "It is being started: look at its state." },
	agent_not_running: { status: 409, fix: "Start it first." },
	not_your_machine: { status: 403, fix: "The coding agent runs programs here: it is for this machine's owner." },
	bad_session: { status: 401, fix: "Sign in to your account again." },
	too_many_agents: { status: 409 },
	path_not_allowed: { status: 403 },
	hub_away: { status: 503, retryable: true },
	session_ended: { status: 401 },
});
