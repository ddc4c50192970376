import { duplexPair } from "node:stream";
import { expect, it } from "vitest";
import { encodeFrame, FrameType } from "../protocol/frames.ts";
import { maxWaitingPongs, TunnelLink } from "./link.ts";

const ping = encodeFrame(FrameType.ping, Buffer.alloc(8));
const owner = { onOpen: () => {}, onIdle: () => {}, onControl: () => {}, onClosed: () => {} };

async function turns(): Promise<void> {
	for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

it("L3: pings whose pongs nobody reads end the link, and hold no more than so many of them", async () => {
	const [near, far] = duplexPair();
	const link = new TunnelLink(near, owner, () => 0);
	let most = 0;
	for (let sent = 0; sent < 40 && link.isOpen; sent++) {
		far.write(Buffer.concat(Array.from({ length: 1024 }, () => ping)));
		await turns();
		most = Math.max(most, near.writableLength);
	}
	expect(link.isOpen).toBe(false);
	expect(most).toBeLessThanOrEqual(near.writableHighWaterMark + (maxWaitingPongs + 1) * ping.length);
});

it("L3: whoever reads pongs may ping as often as it likes", async () => {
	const [near, far] = duplexPair();
	const link = new TunnelLink(near, owner, () => 0);
	let read = 0;
	far.on("data", (bytes: Buffer) => (read += bytes.length));
	for (let sent = 0; sent < 40; sent++) {
		far.write(Buffer.concat(Array.from({ length: 1024 }, () => ping)));
		await turns();
	}
	expect([link.isOpen, read]).toEqual([true, 40 * 1024 * ping.length]);
});
