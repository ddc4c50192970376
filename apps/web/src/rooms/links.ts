export interface Part {
	/** Where it begins in the text. */
	readonly at: number;
	readonly text: string;
	readonly href?: string;
}

const address = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** Ends a sentence more often than an address. */
const trailing = ".,;:!?)]}";

/** The text in pieces, in order, whole; web addresses (http, https) have an `href`. */
export function linksIn(text: string): Part[] {
	const parts: Part[] = [];
	let end = 0;
	for (const { 0: found, index } of text.matchAll(address)) {
		let length = found.length;
		while (trailing.includes(found.charAt(length - 1))) length -= 1;
		const shown = found.slice(0, length);
		const href = URL.parse(shown)?.href;
		if (href === undefined) continue;
		if (index > end) parts.push({ at: end, text: text.slice(end, index) });
		parts.push({ at: index, text: shown, href });
		end = index + shown.length;
	}
	if (end < text.length) parts.push({ at: end, text: text.slice(end) });
	return parts;
}
