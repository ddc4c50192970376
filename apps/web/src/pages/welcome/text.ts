const stepsInAll = 5;

export const t = {
	step: (step: number) => `Step ${step} of ${stepsInAll}`,
	skip: "Skip",
	later: "Finish later",
	next: "Next",
	phoneTitle: "Bring your phone",
	phoneLead:
		"Scan this with its camera. The page shows how the phone comes to trust this warren, in a minute and once.",
	phoneQr: (url: string) => `QR code of ${url}`,
	phoneAfter: "Then pair it: it scans a second code, from Account › Pair a phone.",
	phoneAddress: "address",
	phoneLoopback:
		"This page was opened by an address that works on this very machine alone. The phone must be on the same network, and find the machine by the name above.",
	machineTitle: "Add a second machine",
	machineLead: "Run this line there. It appears here while you watch.",
	doneTitle: "That is all",
	doneLead: (name: string) =>
		`${name} is yours. Open a terminal on it, here or on your phone; everything else waits in the menu.`,
	open: "Open a terminal",
	resumeTitle: "Setting up is not finished",
	resume: "Go on",
	dismiss: "Leave it at that",
} as const;
