import type { ConditionKind } from "@warren/kernel";

export const joinerConditions = {
	coordinatorAway: {
		code: "overlay-coordinator-away",
		severity: "warning",
		title: "The overlay's coordinator does not answer: {fault}",
		advice: "Peers go on with what they know. Check the coordinator and this machine's network.",
		delayMs: 30_000,
	},
	refused: {
		code: "overlay-refused",
		severity: "error",
		title: "The coordinator does not admit this machine: {fault}",
		advice: "Join again with a good certificate and token: warren overlay join",
		delayMs: 0,
	},
	insecure: {
		code: "overlay-insecure",
		severity: "error",
		title: "The overlay is joined without certificates: whoever stands between can be any peer.",
		advice: "Join with --tls-cert, --tls-key and --tls-ca.",
		delayMs: 0,
	},
	certificate: {
		code: "overlay-certificate",
		severity: "warning",
		title: "The certificate files cannot be used, and the ones from before go on: {fault}",
		advice: "Correct the files of --tls-cert, --tls-key and --tls-ca; no restart is needed.",
		// A certificate and its key are two files: between them they do not fit.
		delayMs: 60_000,
	},
	names: {
		code: "overlay-names-not-resolved",
		severity: "info",
		title: "Names under warren.internal are not resolved by this system: {fault}",
		advice: "Send queries for warren.internal to {server}, or install systemd-resolved.",
		delayMs: 0,
	},
	app: {
		code: "overlay-app-not-served",
		severity: "error",
		title: "A service has its address on the overlay, and nothing answers there: {fault}",
		advice: "Free the address and port, or take the service off; it is tried again every 20 s.",
		delayMs: 0,
	},
	routes: {
		code: "overlay-routes",
		severity: "error",
		title: "The overlay's routes cannot be set: {fault}",
		advice: "Install iproute2, and run the joiner as root or with CAP_NET_ADMIN.",
		delayMs: 0,
	},
} as const satisfies Record<string, ConditionKind>;
