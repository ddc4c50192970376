export const t = {
	title: "Sign in to your account",
	lead: (what: string) => `${what} belong to your account at this warren's hub, beside the PIN of each machine.`,
	none: "This machine has no hub",
	noneFix: "It runs a node alone. Start it with “warren up”, or join it to a warren with “warren join”.",
	noAccount:
		"No account yet? The first one is made with the link that Warren prints when it starts, every other one with an invitation.",
	documents: "Documents",
	account: "Your profile, devices and keys",
} as const;
