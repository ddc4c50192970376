/**
 * Keeps a Map within its bound: above `maxEntries` its oldest sixteenth goes, at least one. One at a time would cost more
 * with each: a Map's first key is found past all those that were deleted before it.
 */
export function evictOldest(map: Map<unknown, unknown>, maxEntries: number): void {
	if (map.size <= maxEntries) return;
	let excess = map.size - maxEntries + Math.floor(maxEntries / 16);
	for (const key of map.keys()) {
		if (excess-- <= 0) return;
		map.delete(key);
	}
}
