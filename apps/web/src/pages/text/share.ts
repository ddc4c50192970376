export const t = {
	readOnly: "Read-only",
	until: (when: string) => `until ${when}`,
	overTitle: "This share is over",
	over: "Its time ran out, or it was revoked. Ask for a new link.",
	missing: "This address carries no share. Open the whole link that you were given.",
	loading: "Opening the shared terminal",
} as const;
