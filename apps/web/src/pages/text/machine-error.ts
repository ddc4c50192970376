export const t = {
	failed: (name: string) => `${name} does not answer as it should`,
	another: "Use another machine",
} as const;
