import { duplexPair } from "node:stream";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { FrameType } from "../protocol/frames.ts";
import { TunnelLink } from "../tunnel/link.ts";
import { LinkWatch, linkWatchLimits } from "./link-watch.ts";

function watched(clock: VirtualClock, answers: boolean) {
	const [near, far] = duplexPair();
	const said: number[] = [];
	const closed: string[] = [];
	const quiet = { onIdle: () => {}, onControl: () => {}, onClosed: () => {} };
	if (answers) void new TunnelLink(far, quiet, () => clock.monotonic());
	else far.on("data", (chunk: Buffer) => said.push(chunk[0] as number));
	const owner = { ...quiet, onClosed: (_link: TunnelLink, reason: string) => void closed.push(reason) };
	const link = new TunnelLink(near, owner, () => clock.monotonic());
	new LinkWatch(clock, link);
	return { link, said, closed };
}

/** In steps, with what was written arriving in between. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
	for (let passed = 0; passed < ms; passed += 1000) {
		await clock.advance(1000);
		for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
	}
}

describe("a visitor's link", () => {
	const long = linkWatchLimits.silenceMs + linkWatchLimits.answerMs;

	it("whose other end is gone without a word is pinged, and closed when nothing answers", async () => {
		const clock = new VirtualClock();
		const { said, closed } = watched(clock, false);
		await pass(clock, linkWatchLimits.silenceMs);
		expect([said, closed]).toEqual([[FrameType.ping], []]);
		await pass(clock, linkWatchLimits.answerMs + linkWatchLimits.silenceMs);
		expect(closed).toEqual([expect.stringContaining("did not answer a ping")]);
		expect(clock.pending).toBe(0);
	});

	it("that answers stays, and so does one that nobody reads here", async () => {
		const clock = new VirtualClock();
		const alive = watched(clock, true);
		const slow = watched(clock, false);
		slow.link.pause();
		await pass(clock, long * 3);
		expect([alive.closed, slow.closed]).toEqual([[], []]);
	});
});
