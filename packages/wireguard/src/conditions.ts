import type { ConditionKind } from "@warren/kernel";

/** Health conditions of WireGuard interfaces; the subject is the interface. */
export const wireguardConditions = {
	slowDataPlane: {
		code: "overlay-slow-data-plane",
		severity: "info",
		title: "The overlay on {interface} runs on its {plane} data plane, not at full speed: {reason}",
		advice:
			"A kernel of 5.1 or later has the offloads, and nftables lets its own WireGuard serve; containers may take both away.",
		delayMs: 0,
	},
	kernelSetAside: {
		code: "overlay-kernel-plane-set-aside",
		severity: "warning",
		title: "The kernel's own WireGuard is set aside on {interface}: {reason}. The {plane} data plane serves.",
		advice:
			"Join once with --data-plane kernel, or remove {file}, to try it again; a new version of the system's kernel or of Warren tries it by itself.",
		delayMs: 0,
	},
	rulesRefused: {
		code: "overlay-rules-refused",
		severity: "error",
		title: "This host's packet filter refuses the overlay's rules on {interface}: {reason}",
		advice: "Correct what it says, or join with --data-plane offload. Nothing changes in the overlay here until then.",
		delayMs: 0,
	},
	clockBehind: {
		code: "overlay-clock-behind",
		severity: "error",
		title:
			"This host's clock was set back by {seconds} s: machines refuse new sessions with {interface} until it has caught up",
		advice: "Leave the data plane to auto, or join with --data-plane offload: its stamps do not depend on the clock.",
		delayMs: 0,
	},
	stampsUnkept: {
		code: "overlay-stamps-unkept",
		severity: "warning",
		title: "The time of the last handshake on {interface} cannot be written down: {reason}",
		advice:
			"Make room, or let this program write there. If it ended now and the clock went back, other machines would refuse this one until the clock has caught up.",
		delayMs: 0,
	},
	dataPlaneDead: {
		code: "overlay-data-plane-dead",
		severity: "error",
		title: "The overlay's data plane on {interface} died: {reason}",
		advice:
			"It is opened anew by itself; direct paths between machines are down until then. If it stays, restart the joiner.",
		delayMs: 0,
	},
} as const satisfies Record<string, ConditionKind>;
