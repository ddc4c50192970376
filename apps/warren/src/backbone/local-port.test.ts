import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { freePort } from "@warren/testkit";
import { expect, it } from "vitest";
import { listensLocally } from "./local-port.ts";

it("a port that takes connections is up, also for a process that stood still meanwhile", async () => {
	await using server = createServer((socket) => socket.on("error", () => {}));
	await once(server.listen(0, "127.0.0.1"), "listening");
	const limitMs = 20;
	const answer = listensLocally("tcp", (server.address() as AddressInfo).port, limitMs);
	const until = performance.now() + 2 * limitMs;
	while (performance.now() < until);
	expect(await answer).toBe(true);
});

it("a port where nobody listens is down", async () => {
	const port = await freePort();
	expect([await listensLocally("tcp", port), await listensLocally("udp", port)]).toEqual([false, false]);
});
