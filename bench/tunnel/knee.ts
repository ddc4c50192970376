import { median } from "../terminal/statistics.ts";
import { measure, type Result } from "./measure.ts";
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
			const { p99, perSecond } = await measure(path, { concurrency: connections, seconds, target: "/", rate });
			return p99 <= heldP99Ms + rttMs && perSecond >= rate * heldShare;
		};
		// One hiccup of the machine is not the path's knee: it is lost in two windows of three.
		const first = await holds();
		const second = await holds();
		if (first !== second ? !(await holds()) : !first) break;
		held = rate;
	}
	return held;
}

/** p99 of both at the same rate, where the slower one is at ease. */
export async function atEase(
	[one, other]: readonly [Path, Path],
	knees: readonly [number, number],
	{ seconds, rounds }: KneeOptions,
): Promise<{ readonly rate: number; readonly p99: readonly [number, number] }> {
	const rate = Math.round(Math.min(...knees) * compareAt);
	const results: [Result[], Result[]] = [[], []];
	const load = { concurrency: connections, seconds, target: "/", rate };
	for (let round = 0; round < rounds; round++) {
		results[0].push(await measure(one, load));
		results[1].push(await measure(other, load));
	}
	const p99 = (each: readonly Result[]) => median(each.map((result) => result.p99));
	return { rate, p99: [p99(results[0]), p99(results[1])] };
}
