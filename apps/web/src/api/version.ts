/** How another machine's version stands to the one that this page was built for. */
export type Skew = "same" | "older" | "newer" | "unknown";

/** Compares major and minor: a patch changes nothing that a page drives. */
export function skewOf(machineVersion: string | undefined, pageVersion: string): Skew {
	const theirs = parse(machineVersion);
	const ours = parse(pageVersion);
	if (theirs === undefined || ours === undefined) return "unknown";
	const difference = theirs[0] - ours[0] || theirs[1] - ours[1];
	return difference === 0 ? "same" : difference < 0 ? "older" : "newer";
}

function parse(version: string | undefined): readonly [number, number] | undefined {
	const match = /^v?(\d{1,6})\.(\d{1,6})(?:\.|-|\+|$)/.exec(version ?? "");
	return match === null ? undefined : [Number(match[1]), Number(match[2])];
}
