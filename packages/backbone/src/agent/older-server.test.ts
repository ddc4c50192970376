import { connect } from "node:net";
import { expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";

it("M6: an agent parks links at a server that knows no shared connections, and stays away where the token is refused", async () => {
	await using server = await TestBackbone.open();
	const service = await server.http((_request, response) => response.end("parked then"));
	const asked: string[] = [];
	// Takes tunnels as servers of before did.
	const older = await server.tcp((socket) =>
		socket.once("data", (head: Buffer) => {
			const upgrade = /\r\nUpgrade: (\S+)/.exec(head.toString("latin1"))?.[1] ?? "";
			asked.push(upgrade);
			if (upgrade === "warren-tunnel-shared")
				return socket.end("HTTP/1.1 400 Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
			const on = connect(server.port, "127.0.0.1", () => {
				on.write(head);
				socket.pipe(on).pipe(socket);
			});
			on.on("error", () => socket.destroy());
		}),
	);
	await server.agent("web", service.port, { via: older.port });
	expect(await server.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n")).toContain(
		"parked then",
	);
	expect(new Set(asked)).toEqual(new Set(["warren-tunnel-shared", "warren-tunnel"]));
	const wrong = await server.agent("other", service.port, { token: "mosb_other_x", via: older.port });
	expect(wrong.status).toMatchObject({ state: "stopped", reason: expect.stringContaining("not valid") });
});
