/** Who a request is from, as its service learns it. */
export interface CallerIdentity {
	readonly sub: string;
	/** What the service is told: an assertion's, where there is one. */
	readonly name: string;
	readonly email: string;
	readonly subId: string | null;
	/** The registered ones; they travel beside an assertion's, which must not pass for them. */
	readonly registeredName: string;
	readonly registeredEmail: string;
}

/**
 * The `x-mosb-*` lines of one identity, each with its CRLF; written once, after everything of that spelling was removed.
 * @param jwt the same, signed; null leaves it out.
 */
export function identityLines(identity: CallerIdentity, jwt: string | null): string {
	const overridden = identity.subId !== null;
	return (
		`x-mosb-sub: ${identity.sub}\r\n` +
		`x-mosb-name: ${headerText(identity.name)}\r\n` +
		`x-mosb-email: ${headerText(identity.email)}\r\n` +
		(overridden
			? `x-mosb-sub-id: ${headerText(identity.subId as string)}\r\n` +
				`x-mosb-registered-name: ${headerText(identity.registeredName)}\r\n` +
				`x-mosb-registered-email: ${headerText(identity.registeredEmail)}\r\n`
			: "") +
		(jwt === null ? "" : `x-mosb-jwt: ${jwt}\r\n`)
	);
}

/** Headers are ASCII: anything else becomes an RFC 2047 word, as other identity proxies send it; the JWT has the text itself. */
export function headerText(text: string): string {
	if (/^[\x20-\x7e]*$/.test(text) && !text.includes("=?")) return text.trim();
	let word = "";
	for (const byte of Buffer.from(text, "utf8")) {
		const character = String.fromCharCode(byte);
		word += /[A-Za-z0-9]/.test(character) ? character : byte === 0x20 ? "_" : `=${hex(byte)}`;
	}
	return `=?utf-8?q?${word}?=`;
}

function hex(byte: number): string {
	return byte.toString(16).toUpperCase().padStart(2, "0");
}
