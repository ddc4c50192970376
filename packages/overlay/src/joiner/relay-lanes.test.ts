import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { systemRandom } from "@warren/kernel";
import { webSocketLimits } from "@warren/net";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import type { WireGuardKey } from "../protocol/peer-record.ts";
import { CoordinatorLink } from "./coordinator-link.ts";
import { laneLimits, RelayLanes } from "./relay-lanes.ts";

/** RFC 6455 §1.3. */
const acceptOf = (key: string) =>
	createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** Takes every lane and never says or reads a word again: as what is left of a connection whose other end lost power. */
async function openSilentRelay() {
	const sockets: Duplex[] = [];
	const lanes: string[] = [];
	const both = Promise.withResolvers<void>();
	const server = createServer();
	server.on("upgrade", (request, socket) => {
		sockets.push(socket);
		lanes.push(new URL(request.url ?? "", "http://relay").searchParams.get("lane") ?? "");
		if (lanes.length === 2) both.resolve();
		socket.on("error", () => {});
		socket.write(
			`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: warren.v1\r\nSec-WebSocket-Accept: ${acceptOf(request.headers["sec-websocket-key"] as string)}\r\n\r\n`,
		);
		socket.pause();
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		lanes,
		/** Once both have come for the first time. */
		both: both.promise,
		async [Symbol.asyncDispose]() {
			for (const socket of sockets) socket.destroy();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

/** Moves the clock on by a tenth of the first wait at a time, until it has happened; ten minutes at most. */
async function advanceUntil(clock: VirtualClock, hasHappened: () => boolean): Promise<void> {
	const stepMs = laneLimits.backoff.firstMs / 10;
	const end = clock.monotonic() + 600_000;
	while (!hasHappened() && clock.monotonic() < end) await clock.advance(stepMs);
	expect(hasHappened()).toBe(true);
}

describe("the relay's lanes", () => {
	it("that are half open are noticed within 45 s, and opened anew", async () => {
		await using relay = await openSilentRelay();
		const clock = new VirtualClock();
		const link = new CoordinatorLink([relay.url], null, clock);
		const lanes = new RelayLanes(link, Buffer.alloc(32, 7).toString("base64") as WireGuardKey, clock, systemRandom);
		const opened = Promise.withResolvers<void>();
		lanes.onChange(() => opened.resolve());
		lanes.start();
		await Promise.all([opened.promise, relay.both]);
		expect(relay.lanes.toSorted()).toEqual(["hi", "lo"]);
		// Taken, and read by nobody.
		lanes.send(Buffer.alloc(32, 8).toString("base64") as WireGuardKey, new Uint8Array(100), true);
		await clock.advance(webSocketLimits.silenceMs - 1);
		expect(relay.lanes).toHaveLength(2);
		const again = (lane: string) => relay.lanes.filter((each) => each === lane).length >= 2;
		await advanceUntil(clock, () => again("hi") && again("lo"));
		const closing = lanes.close();
		await advanceUntil(clock, () => !lanes.available);
		await closing;
		await link.close();
	});
});
