export const t = {
	title: "More",
	network: "Your machines, and the way to each",
	access: "Who may reach whom",
	services: "What others may reach here",
	rooms: "Talk, also with other warrens",
	agent: (name: string) => `OpenCode on ${name}`,
	activity: (name: string) => `Who did what on ${name}`,
	settings: "Look, notifications, this machine",
	noAccount: "Not signed in",
	trust: "Trust this warren",
	trustSub: "Install its certificate on a device",
} as const;
