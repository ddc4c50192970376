import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OverlayPeerId, PeerRecord } from "../protocol/peer-record.ts";
import { readPolicy } from "../protocol/policy.ts";
import { RosterMachine } from "../protocol/roster-machine.ts";
import { Streams } from "./streams.ts";

const viewer = "viewer" as OverlayPeerId;
const everyone = readPolicy('{"acls":[{"action":"accept","src":["*"],"dst":["*"]}]}');
if (!everyone.ok) throw new Error(everyone.message);
const { policy } = everyone;

function record(id: OverlayPeerId, name: string): PeerRecord {
	return {
		...{ peer_id: id, ula: `fd5a:1f00:0:1::${id.length}`, display_name: name, network: "default", tags: ["any"] },
		...{ hosted_app_ulas: [], kind: "peer", wg_public_key: id, relay_only: false, connectivity: "direct" },
	} as unknown as PeerRecord;
}

describe("a stream that another one of its peer has taken the place of", () => {
	const clock = new VirtualClock();
	const sockets: Socket[] = [];
	const faults: Error[] = [];
	let roster: RosterMachine;
	let streams: Streams;
	let server: ReturnType<typeof createServer>;

	beforeEach(async () => {
		faults.length = 0;
		roster = new RosterMachine(policy, () => "epoch");
		roster.upsert(record(viewer, "viewer"), clock.monotonic());
		streams = new Streams(roster, clock, new SeededRandom(1));
		server = createServer();
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
	});
	afterEach(async () => {
		for (const socket of sockets.splice(0)) socket.destroy();
		server.close();
		await once(server, "close");
	});

	/** By a reader who has read nothing yet. */
	async function ask(): Promise<ServerResponse> {
		const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
		sockets.push(socket.pause());
		socket.on("error", () => {});
		socket.write("GET / HTTP/1.1\r\nHost: coordinator\r\n\r\n");
		const [, outgoing] = (await once(server, "request")) as [unknown, ServerResponse];
		outgoing.on("error", (fault) => faults.push(fault));
		return outgoing;
	}
	const open = (outgoing: ServerResponse) => streams.open(viewer, true, null, outgoing);
	let changes = 0;
	const change = (bytes = 1) =>
		roster.upsert(record("other" as OverlayPeerId, "x".repeat(bytes) + changes++), clock.monotonic());

	it("is written no change that comes in the same moment", async () => {
		const [first, second, third] = [await ask(), await ask(), await ask()];
		open(first);
		open(second);
		change();
		const ended = once(first, "close");
		open(third);
		await ended;
		expect(faults).toEqual([]);
		expect(streams.size).toBe(2);
		streams.close();
	});

	it("is gone by the next keepalive, though nobody reads it, and is written nothing until then", async () => {
		const [first, second, third] = [await ask(), await ask(), await ask()];
		open(first);
		while ((first.socket?.writableLength ?? 0) === 0) {
			change(4_000);
			roster.flush();
			streams.changed();
			await new Promise((resolve) => setImmediate(resolve));
		}
		open(second);
		const ended = once(first, "close");
		open(third);
		expect([first.writableEnded, first.writableFinished]).toEqual([true, false]);
		change();
		roster.flush();
		streams.changed();
		await clock.advance(15_000);
		await ended;
		expect(faults).toEqual([]);
		expect(streams.size).toBe(2);
		streams.close();
	});
});
