/** Columns padded to fit, two spaces apart; the last one runs free. */
export function renderTable(rows: readonly (readonly string[])[]): string {
	const widths: number[] = [];
	for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
	return rows
		.map((row) =>
			row
				.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}

/** `3 h`, `12 min`, `5 s`: how long ago, for people. */
export function renderAge(ms: number): string {
	const seconds = Math.max(0, Math.round(ms / 1000));
	if (seconds < 60) return `${seconds} s`;
	if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
	if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
	return `${Math.round(seconds / 86400)} d`;
}
