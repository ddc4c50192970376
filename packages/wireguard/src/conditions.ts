import type { ConditionKind } from "@warren/kernel";

/** Health conditions of WireGuard interfaces; the subject is the interface. */
export const wireguardConditions = {
	slowDataPlane: {
		code: "overlay-slow-data-plane",
		severity: "info",
		title: "The overlay on {interface} runs on its {plane} data plane, not at full speed: {reason}",
		advice: "A kernel of 5.1 or later has the offloads; containers and some virtual networks take them away.",
		delayMs: 0,
	},
	dataPlaneDead: {
		code: "overlay-data-plane-dead",
		severity: "error",
		title: "The overlay's data plane on {interface} died: {reason}",
		advice: "Restart the joiner; direct paths between machines are down until then.",
		delayMs: 0,
	},
} as const satisfies Record<string, ConditionKind>;
