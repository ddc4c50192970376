import { systemClock } from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection } from "@warren/net";
import { type StartedNode, startNode } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { readConsole } from "../config/console-file.ts";

async function events(node: StartedNode, headers: Record<string, string>, protocols?: readonly string[]) {
	const dialled = await dialWebSocket(`${node.origin.replace("https", "wss")}/ws/~events`, systemClock, {
		headers,
		tls: { ca: node.ca },
		...(protocols === undefined ? {} : { protocols }),
	});
	if (!dialled.ok) throw new Error(dialled.message);
	return dialled.connection;
}
const closed = (connection: WebSocketConnection) =>
	new Promise<number>((resolve) => connection.onClose((code) => resolve(code)));
const post = { method: "POST", headers: { "content-type": "application/json" } } as const;

describe("a change of the PIN", () => {
	it.each(["ada", "console"])("ends what %s opened with the old one, at once, and nothing else", async (user) => {
		await using node = await startNode({ user });
		const made = await node.fetch("/api/devices", { ...post, body: '{"name":"phone"}' });
		const { token } = (await made.json()) as { token: string };
		const byPin = await events(node, { authorization: node.authorization });
		const byDevice = await events(node, { authorization: `Bearer ${token}` });
		const byConsole = await events(node, { authorization: `Bearer ${readConsole(node.data).token}` });
		const asked = await node.fetch("/api/ws-tickets", { ...post, body: '{"path":"/ws/~events"}' });
		const { ticket } = (await asked.json()) as { ticket: string };
		const ended = closed(byPin);
		const survivors: number[] = [];
		for (const each of [byDevice, byConsole]) each.onClose((code) => survivors.push(code));

		const changed = await node.fetch("/api/credentials", {
			method: "PUT",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ user, pin: "another-pin-1843" }),
		});
		expect(changed.status).toBe(204);
		expect(await ended).toBe(4401);
		const late = await events(node, {}, ["warren.v1", `ticket.${ticket}`]);
		expect(await closed(late)).toBe(4401);
		expect((await node.fetch("/api/me")).status).toBe(401);

		// The others still hear what happens.
		const heard = Promise.all(
			[byDevice, byConsole].map((each) => new Promise<void>((resolve) => each.onMessage(() => resolve()))),
		);
		const added = await node.fetch("/api/peers", {
			...post,
			headers: { ...post.headers, authorization: `Bearer ${token}` },
			body: '{"host":"127.0.0.1","port":1}',
		});
		expect(added.status).toBe(201);
		await heard;
		expect(survivors).toEqual([]);
		await byDevice.close();
		await byConsole.close();
	});
});
