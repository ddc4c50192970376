import { createSocket } from "node:dgram";
import { once } from "node:events";
import { systemClock } from "@warren/kernel";
import { fromPortZero } from "@warren/testkit";
import { expect, it } from "vitest";
import { decodeStun, encodeStunRequest } from "../protocol/stun.ts";
import { StunServer } from "./stun-server.ts";

it("answers nobody at port 0, and everybody else after that", async () => {
	const server = await StunServer.open("127.0.0.1", 0, systemClock);
	const [port = 0] = server.ports;
	const client = createSocket("udp4");
	const ask = () => client.send(encodeStunRequest(Buffer.alloc(12, 7)), port, "127.0.0.1");
	{
		using zero = fromPortZero(port);
		ask();
		await expect.poll(() => zero.arrived).toBe(1);
		expect(zero.faults).toEqual([]);
	}
	ask();
	const [answer] = await once(client, "message");
	expect(decodeStun(answer)).toMatchObject({ type: "answer", mapped: { port: client.address().port } });
	client.close();
	await server.close();
});
