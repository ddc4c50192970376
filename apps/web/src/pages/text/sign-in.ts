export const t = {
	title: "Sign in",
	ways: "Sign in with",
	byAccount: "Account",
	byPin: "PIN of this machine",
	accountLead: "With your account in this warren. It opens the machines that you joined, and your documents.",
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
	unknownMachine: "No such machine",
	unknownMachineLead: (id: string) =>
		`No machine of this warren is called “${id}”. It was removed, or is not found any more.`,
	peerTitle: (name: string) => `Sign in to ${name}`,
	selfLead: (name: string) => `${name} keeps a user and PIN of its own; this browser keeps a token for it alone.`,
	peerLead: (name: string, via: string) =>
		`${name} keeps a user and PIN of its own. ${via} passes them on and keeps nothing; this browser keeps a token for ${name} alone.`,
	asAccount: (name: string) => `Sign in as ${name}`,
	orPin: "Or with its user and PIN",
	back: "All machines",
} as const;
