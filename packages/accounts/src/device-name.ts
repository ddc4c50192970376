export const deviceHeader = "x-warren-device";
export const maxDeviceNameLength = 80;
export const maxPersonNameLength = 120;

/** The name that a client chose for itself (percent-encoded in `x-warren-device`), else one from its User-Agent. */
export function deviceNameOf(chosen: string | undefined, userAgent: string | undefined): string {
	return cleanName(decoded(chosen ?? "")) || agentName(userAgent ?? "");
}

/** One line, without control characters, at most so many characters, the last of them a whole one. */
export function cleanName(name: string, maxLength: number = maxDeviceNameLength): string {
	return name
		.replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")
		.trim()
		.slice(0, maxLength)
		.replace(/\p{Cs}$/u, "");
}

function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		// Not percent-encoded: take it as it is.
		return text;
	}
}

function agentName(agent: string): string {
	const browser = /(Firefox|Edg|Chrome|Safari)\b/.exec(agent)?.[1]?.replace("Edg", "Edge");
	const system = /(iPhone|iPad|Android|Windows|Mac OS X|Linux)/.exec(agent)?.[1]?.replace("Mac OS X", "macOS");
	if (browser !== undefined) return system === undefined ? browser : `${browser} on ${system}`;
	return cleanName(agent.split(/[\s/]/)[0] ?? "") || "A device";
}
