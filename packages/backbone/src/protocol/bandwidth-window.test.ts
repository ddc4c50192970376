import { describe, expect, it } from "vitest";
import { BandwidthWindow } from "./bandwidth-window.ts";

const kib = 1024;
const mib = 1024 * kib;

/** A line that carries so much a millisecond, and what a window lets through of it. */
function run(window: BandwidthWindow, rttMs: number, bytesPerMs: number, rounds: number): number[] {
	const windows: number[] = [];
	for (let round = 0; round < rounds; round++) {
		const at = round * rttMs;
		const arrives = Math.min(window.bytes, bytesPerMs * rttMs);
		let pinged = false;
		for (let part = 0; part < 8; part++) pinged = window.received(arrives / 8, at) || pinged;
		if (pinged) window.answered(at + rttMs);
		windows.push(window.bytes);
	}
	return windows;
}

describe("a window of flow control", () => {
	it("L6: grows until it holds twice what the line carries in a round trip, in few of them", () => {
		const windows = run(new BandwidthWindow(mib, 16 * mib), 20, 300 * kib, 12);
		expect(windows.at(-1)).toBeGreaterThanOrEqual(300 * kib * 20);
		expect(windows.at(-1)).toBeLessThanOrEqual(300 * kib * 20 * 2);
		expect(windows[3]).toBeGreaterThanOrEqual(300 * kib * 20);
	});

	it("L6: stays as it is where the line carries less", () => {
		expect(run(new BandwidthWindow(mib, 16 * mib), 20, 20 * kib, 50).at(-1)).toBe(mib);
	});

	it("L6: ends at its limit, and asks no more there", () => {
		const window = new BandwidthWindow(mib, 4 * mib);
		expect(run(window, 100, mib, 20).at(-1)).toBe(4 * mib);
		expect(window.received(mib, 10_000)).toBe(false);
	});

	it("L6: asks with one PING at a time, and gives up asking where nothing changes", () => {
		const window = new BandwidthWindow(mib, 16 * mib);
		expect(window.received(1, 0)).toBe(true);
		expect(window.received(1, 1)).toBe(false);
		expect(window.answered(20)).toBe(null);
		expect(window.answered(21)).toBe(null);
		run(window, 20, 20 * kib, 50);
		expect(window.received(1, 2_000)).toBe(false);
	});
});
