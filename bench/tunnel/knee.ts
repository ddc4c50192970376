import { median } from "../terminal/statistics.ts";
import { type Load, measure, type Result } from "./measure.ts";
import type { Path } from "./paths.ts";

/** Of its fastest closed loop: a path is asked for so much, until it no longer holds. */
const steps = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
/** A rate is held while one request in a hundred takes longer than this, beyond the way there and back. */
const heldP99Ms = 20;
/** …and nearly all that was asked for is answered in time. */
const heldShare = 0.97;
const connections = 256;
/** Of the slower one's knee: where two paths are compared. */
const compareAt = 0.7;

/** Of a window, that the kernel may have a core for itself: one in a hundred answers is what is looked at. */
const housekeepingShare = 0.005;
/** One window's p99 is up to three times another's: the middle of few is chance. Times the rounds of the rest. */
const windowsPerRound = 3;
/** A window with more is measured anew, so often at most. */
const maxAttempts = 4;

/** How long a step is asked for, and over which way. */
export interface KneeOptions {
	readonly seconds: number;
	readonly rttMs: number;
	/** Alternating, of the comparison. */
	readonly rounds: number;
}

/** The highest step that a path holds, requests a second. @param top its fastest closed loop. @returns 0 when it holds none. */
export async function kneeOf(path: Path, top: number, { seconds, rttMs }: KneeOptions): Promise<number> {
	let held = 0;
	for (const step of steps) {
		const rate = Math.round(top * step);
		const holds = async () => {
			const { result } = await undisturbed(path, { concurrency: connections, seconds, target: "/", rate });
			return result.p99 <= heldP99Ms + rttMs && result.perSecond >= rate * heldShare;
		};
		// One hiccup of the machine is not the path's knee: it is lost in two windows of three.
		const first = await holds();
		const second = await holds();
		if (first !== second ? !(await holds()) : !first) break;
		held = rate;
	}
	return held;
}

/** p99 of both at the same rate, where the slower one is at ease: the middle of `windows` each, `anew` more left out. */
export async function atEase(
	[one, other]: readonly [Path, Path],
	knees: readonly [number, number],
	{ seconds, rounds }: KneeOptions,
): Promise<{
	readonly rate: number;
	readonly p99: readonly [number, number];
	readonly windows: number;
	readonly anew: number;
}> {
	const rate = Math.round(Math.min(...knees) * compareAt);
	const load = { concurrency: connections, seconds, target: "/", rate };
	let anew = 0;
	const p99s: [number[], number[]] = [[], []];
	for (let round = 0; round < rounds * windowsPerRound; round++)
		for (const [at, path] of [one, other].entries()) {
			const { result, attempts } = await undisturbed(path, load);
			p99s[at]?.push(result.p99);
			anew += attempts - 1;
		}
	return { rate, p99: [median(p99s[0]), median(p99s[1])], windows: rounds * windowsPerRound, anew };
}

/** A window in which the kernel kept its own house is nobody's figure. */
async function undisturbed(path: Path, load: Load): Promise<{ readonly result: Result; readonly attempts: number }> {
	for (let attempts = 1; ; attempts++) {
		const result = await measure(path, load);
		if (result.housekeepingMs <= load.seconds * 1000 * housekeepingShare || attempts === maxAttempts)
			return { result, attempts };
	}
}
