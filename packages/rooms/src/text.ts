/**
 * Text as it is kept: no control characters but tab and newline, none that turn the direction of what follows, no lone
 * surrogates, cut at a whole character.
 */
export function tidy(text: string, maxLength: number): string {
	const clean = text
		.replace(/\r\n?/g, "\n")
		// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
		.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "")
		.toWellFormed();
	return clean.length <= maxLength ? clean : cut(clean, maxLength);
}

/** One line, for names. */
export function tidyLine(text: string, maxLength: number): string {
	return tidy(text, maxLength * 4)
		.replace(/\s+/g, " ")
		.trim()
		.slice(0, maxLength)
		.toWellFormed();
}

function cut(text: string, maxLength: number): string {
	const last = text.charCodeAt(maxLength - 1);
	return text.slice(0, last >= 0xd800 && last <= 0xdbff ? maxLength - 1 : maxLength);
}
