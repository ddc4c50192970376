export const t = {
	title: "Sign in",
	lead: (name: string) =>
		`With the user and PIN of ${name}. This browser keeps a token that you can revoke, never the PIN.`,
	thisMachine: "this machine",
	user: "User",
	pin: "PIN",
	deviceName: "Name of this browser",
	deviceHint: "Shown in the list of devices.",
	submit: "Sign in",
	wrong: "The user or the PIN is not right.",
	wrongFix: "Both were set at setup. To set new ones, start Warren on that machine with WARREN_USER and WARREN_PIN.",
	trust: "Trust this warren on a device",
	peerTitle: (name: string) => `Sign in to ${name}`,
	peerLead: (name: string, via: string) =>
		`${name} keeps a user and PIN of its own. ${via} passes them on and keeps nothing; this browser keeps a token for ${name} alone.`,
	back: "All machines",
} as const;
