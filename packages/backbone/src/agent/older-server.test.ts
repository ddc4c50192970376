import { connect, type Socket } from "node:net";
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

it("M6: a proxy that knows no such path for a while costs shared connections only as long as parked ones stand", async () => {
	await using server = await TestBackbone.open();
	const service = await server.http((_request, response) => response.end("served"));
	const asked: string[] = [];
	const standing = new Map<Socket, string>();
	let refuses = true;
	const proxy = await server.tcp((socket) => {
		socket.once("close", () => standing.delete(socket));
		socket.once("data", (head: Buffer) => {
			const upgrade = /\r\nUpgrade: (\S+)/.exec(head.toString("latin1"))?.[1] ?? "";
			asked.push(upgrade);
			standing.set(socket, upgrade);
			if (refuses && upgrade === "warren-tunnel-shared")
				return socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
			const on = connect(server.port, "127.0.0.1", () => {
				on.write(head);
				socket.pipe(on).pipe(socket);
			});
			on.on("error", () => socket.destroy());
			socket.once("close", () => on.destroy());
		});
	});
	const agent = await server.agent("web", service.port, { via: proxy.port });
	expect(asked.slice(0, 2)).toEqual(["warren-tunnel-shared", "warren-tunnel"]);
	refuses = false;
	asked.length = 0;
	for (const socket of standing.keys()) socket.resetAndDestroy();
	const isShared = (upgrade: string) => upgrade === "warren-tunnel-shared";
	await expect.poll(() => asked.filter(isShared), { timeout: 30_000 }).toHaveLength(2);
	await expect.poll(() => agent.status.state, { timeout: 30_000 }).toBe("online");
	expect(await server.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n")).toContain("served");

	// One of the two is lost, and the proxy says no again: the other serves on, and nothing is parked.
	refuses = true;
	asked.length = 0;
	const [first] = [...standing].find(([, upgrade]) => isShared(upgrade)) ?? [];
	first?.resetAndDestroy();
	await expect.poll(() => asked.length, { timeout: 30_000 }).toBeGreaterThan(1);
	expect(new Set(asked)).toEqual(new Set(["warren-tunnel-shared"]));
	expect(agent.status.state).toBe("online");
	expect(await server.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n")).toContain("served");
});
