export const t = {
	title: "More",
	network: "Who reaches whom, and by which way",
	rooms: "Conversations, with other warrens, too",
	activity: (name: string) => `Who did what on ${name}`,
	settings: "Look, notifications, devices, this machine",
	noAccount: "Not signed in",
	trust: "Trust this warren",
	trustSub: "Install its certificate on a device",
} as const;
