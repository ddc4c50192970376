import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { describe, expect, it } from "vitest";
import { openEdge } from "./edge.testing.ts";

/** PostgreSQL's SSLRequest: length 8, code 80877103. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Something at an address that is not this machine's own name, so that the hub asks for TLS. */
async function posed(answer: "N" | "S", onSecure: (socket: Socket) => Socket) {
	const seen = { asked: 0, afterwards: 0 };
	const server = createServer((socket) => {
		socket.on("error", () => {});
		socket.once("data", (bytes: Buffer) => {
			expect(bytes).toEqual(sslRequest);
			seen.asked += 1;
			socket.write(answer);
			const inside = answer === "N" ? socket : onSecure(socket);
			inside.on("error", () => {});
			inside.on("data", () => {
				seen.afterwards += 1;
			});
		});
	});
	server.listen(0, "127.0.0.2");
	await once(server, "listening");
	return { seen, port: (server.address() as AddressInfo).port, [Symbol.dispose]: () => void server.close() };
}

const statusWith = async (port: number) => {
	const WARREN_DATABASE = `postgres://ada:a-password@127.0.0.2:${port}/warren`;
	await using edge = await openEdge({ bindings: { WARREN_DATABASE, WARREN_SECRET: "s".repeat(32) } });
	return (await edge.call("GET", "/")).status;
};

describe("a database off this machine hears no word from Workers", { timeout: 120_000 }, () => {
	it("that has no TLS", async () => {
		using server = await posed("N", (socket) => socket);
		expect(await statusWith(server.port)).toBe(503);
		expect(server.seen).toEqual({ asked: expect.any(Number), afterwards: 0 });
		expect(server.seen.asked).toBeGreaterThan(0);
	});

	it("whose certificate nobody vouches for", async () => {
		const { authority } = await Authority.create("t", ["127.0.0.2"], systemClock, systemRandom);
		const leaf = await authority.issue({ name: "db", hosts: ["127.0.0.2"] });
		using server = await posed("S", (socket) => new TLSSocket(socket, { isServer: true, ...leaf }));
		expect(await statusWith(server.port)).toBe(503);
		expect(server.seen.afterwards).toBe(0);
		expect(server.seen.asked).toBeGreaterThan(0);
	});
});
