import type { ConditionKind } from "@warren/kernel";

export const coordinatorConditions = {
	insecure: {
		code: "coordinator-insecure",
		severity: "error",
		title: "The coordinator runs without TLS and certificates: whoever reaches it can be any peer.",
		advice: "Start it with --tls-cert, --tls-key and --tls-ca; make them with: warren ca init",
		delayMs: 0,
	},
	certificateExpiring: {
		code: "coordinator-certificate-expiring",
		severity: "warning",
		title: "The coordinator's certificate ends on {date}.",
		advice: "Issue a new one with: warren ca issue-peer",
		delayMs: 0,
	},
	policyEmpty: {
		code: "coordinator-policy-empty",
		severity: "info",
		title: "The policy has no rule: peers cannot see each other.",
		advice: "Set one with: warren coordinator policy set FILE",
		delayMs: 0,
	},
} as const satisfies Record<string, ConditionKind>;
