import { createSocket } from "node:dgram";
import { describe, expect, it } from "vitest";
import { newArena, regions } from "../engine/arena.ts";
import { endpointOf } from "../protocol/endpoint.ts";
import { errors, type Libc, openLibc } from "./libc.ts";
import { OffloadSocket } from "./offload-socket.ts";

const unsupported = process.platform === "linux" ? null : `segmented sends are Linux's; this is ${process.platform}`;

/** A receiver that resolves once it has `count` datagrams. */
async function receiver(count: number) {
	const socket = createSocket("udp4");
	const got: Buffer[] = [];
	const { promise, resolve } = Promise.withResolvers<Buffer[]>();
	socket.on("message", (message) => {
		got.push(message);
		if (got.length === count) resolve(got);
	});
	await new Promise<void>((bound) => {
		socket.bind(0, "127.0.0.1", () => bound());
	});
	return { port: socket.address().port, all: promise, close: () => socket.close() };
}

describe("the offload socket", () => {
	it("sends a train in one call, and the last datagram may be shorter", async (context) => {
		context.skip(unsupported !== null, unsupported ?? "");
		const arena = newArena();
		let sends = 0;
		const real = openLibc();
		const libc: Libc = { ...real, sendmsg: (...args) => ((sends += 1), real.sendmsg(...args)) };
		const socket = new OffloadSocket(libc, arena, { port: 0, offload: true }, () => {});
		const to = await receiver(5);
		arena.bytes.fill(7, regions.train.at, regions.train.at + 4100);
		socket.send(endpointOf("127.0.0.1", to.port)!, regions.train.at, 4100, 1000);
		expect((await to.all).map((each) => each.length)).toEqual([1000, 1000, 1000, 1000, 100]);
		expect(sends).toBe(1);
		socket.close();
		to.close();
	});

	it("whose train the path refuses (EIO) sends it again one by one, loses nothing, and says so once", async (context) => {
		context.skip(unsupported !== null, unsupported ?? "");
		const arena = newArena();
		const real = openLibc();
		let refusals = 0;
		const lost: number[] = [];
		const libc: Libc = {
			...real,
			sendmsg: (fd, message, flags) => {
				// The control data holds a segment's size: such a send is the one that a bad device refuses.
				if (arena.view.getUint32(message - real.addressOf(arena.bytes) + 40, true) === 0)
					return real.sendmsg(fd, message, flags);
				refusals += 1;
				return -1;
			},
			errno: () => errors.EIO,
		};
		const socket = new OffloadSocket(libc, arena, { port: 0, offload: true }, (errno) => lost.push(errno));
		const to = await receiver(6);
		for (let each = 0; each < 3; each++)
			arena.bytes.fill(each + 1, regions.train.at + each * 500, regions.train.at + (each + 1) * 500);
		const endpoint = endpointOf("127.0.0.1", to.port)!;
		socket.send(endpoint, regions.train.at, 1500, 500);
		socket.send(endpoint, regions.train.at, 1500, 500);
		expect((await to.all).map((each) => [each.length, each[0]])).toEqual([
			[500, 1],
			[500, 2],
			[500, 3],
			[500, 1],
			[500, 2],
			[500, 3],
		]);
		expect(refusals).toBe(1);
		expect(lost).toEqual([errors.EIO]);
		expect(socket.hasSegmentation).toBe(false);
		expect(socket.sendErrors).toBe(0);
		socket.close();
		to.close();
	});

	it("sends nothing to an address of v6 where v6 is off", async (context) => {
		context.skip(unsupported !== null, unsupported ?? "");
		const real = openLibc();
		const familyV6 = 10;
		const libc: Libc = {
			...real,
			socket: (family, ...rest) => (family === familyV6 ? -1 : real.socket(family, ...rest)),
		};
		const socket = new OffloadSocket(libc, newArena(), { port: 0, offload: true }, () => {});
		const to = await receiver(1);
		// Its last four bytes are those of 127.0.0.1.
		socket.sendOther(endpointOf("2001:db8::7f00:1", to.port)!, Uint8Array.of(6));
		socket.sendOther(endpointOf("127.0.0.1", to.port)!, Uint8Array.of(4));
		expect((await to.all).map((each) => [...each])).toEqual([[4]]);
		expect(socket.sendErrors).toBe(1);
		socket.close();
		to.close();
	});

	it("refuses to touch memory outside its arena", (context) => {
		context.skip(unsupported !== null, unsupported ?? "");
		const arena = newArena();
		const socket = new OffloadSocket(openLibc(), arena, { port: 0, offload: true }, () => {});
		const to = endpointOf("127.0.0.1", 9)!;
		expect(() => socket.send(to, arena.bytes.length - 10, 11, 11)).toThrow(RangeError);
		expect(() => socket.send(to, -1, 10, 10)).toThrow(RangeError);
		socket.close();
		socket.close();
	});
});
