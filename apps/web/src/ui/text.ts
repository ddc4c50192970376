/** What the parts say wherever they stand. */
export const t = {
	working: "Working",
	notices: "Notices",
	dismiss: "Dismiss",
	open: "Open",
	tryAgain: "Try again",
	staleTitle: (when: string) => `Shown as it was ${when}`,
	close: "Close",
	keep: "Keep",
	copy: (what: string) => `Copy ${what}`,
	copyOf: (what: string, text: string) => `Copy ${what}: ${text}`,
	copyRefused: "This browser keeps its clipboard closed",
	copyRefusedFix: "Select the text and copy it by hand.",
	actions: "Actions",
	/** What a value is that one tap copies. */
	values: {
		command: "command",
		address: "address",
		fingerprint: "fingerprint",
		knownFingerprint: "known fingerprint",
		newFingerprint: "new fingerprint",
		identifier: "identifier",
	},
} as const;
