/**
 * The lines, from 1, at which the elements of a top-level array begin. For messages only: the text is valid JSON.
 * @param list the array's key in the outermost object.
 */
export function entryLines(text: string, list: string): number[] {
	const lines: number[] = [];
	let line = 1;
	let depth = 0;
	let key = "";
	let inList = false;
	let awaiting = false;
	for (let at = 0; at < text.length; at++) {
		const char = text.charAt(at);
		if (char === "\n") line += 1;
		if (/\s/.test(char)) continue;
		if (awaiting && char !== "]") {
			lines.push(line);
			awaiting = false;
		}
		if (char === '"') {
			let end = at + 1;
			while (end < text.length && text.charAt(end) !== '"') end += text.charAt(end) === "\\" ? 2 : 1;
			if (depth === 1) key = text.slice(at + 1, end);
			at = end;
		} else if (char === "{" || char === "[") {
			depth += 1;
			if (char === "[" && depth === 2 && key === list) {
				inList = true;
				awaiting = true;
			}
		} else if (char === "}" || char === "]") {
			depth -= 1;
			if (depth === 1) {
				inList = false;
				awaiting = false;
			}
		} else if (char === "," && depth === 2 && inList) awaiting = true;
	}
	return lines;
}
