export const t = {
	title: "This page did not arrive",
	fix: "The connection to this machine broke off while the page was on its way. What is open elsewhere goes on.",
} as const;
