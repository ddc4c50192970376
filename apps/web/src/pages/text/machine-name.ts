export const t = {
	name: "Name",
	submit: "Use this name",
	rename: "Rename",
	title: "What is this machine called?",
	lead: "By this name you find it among the others.",
} as const;
