/** In order, in as few parts as hold them all, none of more bytes or entries than one message may have; one that is larger goes alone. */
export function inParts<T>(
	entries: readonly T[],
	bytesOf: (entry: T) => number,
	most: { readonly bytes: number; readonly entries: number },
): T[][] {
	const parts: T[][] = [];
	let bytes = 0;
	for (const entry of entries) {
		const more = bytesOf(entry);
		const last = parts.at(-1);
		if (last === undefined || bytes + more > most.bytes || last.length >= most.entries) {
			parts.push([entry]);
			bytes = more;
		} else {
			last.push(entry);
			bytes += more;
		}
	}
	return parts;
}
