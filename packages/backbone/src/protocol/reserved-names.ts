/**
 * Names that only the backbone may set. Servers fold `_` and `.` to `-` on the way to an application (CGI, WSGI, some
 * proxies), and some of them whatever is neither a letter nor a digit, so every spelling that folds to one of ours counts.
 */
export function foldName(name: string): string {
	return name.toLowerCase().replace(/[^a-z0-9-]/g, "-");
}

/** What we say of a client's way here. */
const told: ReadonlySet<string> = new Set([
	"x-forwarded-for",
	"x-forwarded-host",
	"x-forwarded-proto",
	"x-forwarded-port",
	"x-real-ip",
]);

/** Whether a field of this name from outside must never reach a service. */
export function isReservedName(name: string): boolean {
	const first = name.charCodeAt(0) | 0x20;
	if (first !== 0x78 /* x */ || name.length < 6) return false;
	const folded = foldName(name);
	return (
		folded.startsWith("x-mosb-") ||
		folded === "x-mosb" ||
		folded.startsWith("x-backbone-") ||
		folded === "x-backbone" ||
		told.has(folded)
	);
}
