export const t = {
	title: "Activity",
	lead: (name: string) => `Who did what on ${name}, newest first.`,
	columns: { at: "When", actor: "Who", action: "What", target: "To", outcome: "Outcome", address: "From" },
	empty: "Nothing has happened here yet.",
	loading: "Loading activity",
	older: "Earlier",
	refresh: "Refresh",
	outcomes: { ok: "ok", refused: "refused", failed: "failed" },
} as const;
