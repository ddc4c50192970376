/** The value below which `share` (0 to 1) of the samples lie. */
export function percentile(samples: readonly number[], share: number): number {
	if (samples.length === 0) throw new Error("no samples: nothing was measured");
	const sorted = [...samples].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);
