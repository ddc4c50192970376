import { spawnSync } from "node:child_process";
import { createECDH, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority, dialWebSocket } from "@warren/net";
import { startNode, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";

const keys = () => {
	const key = createECDH("prime256v1");
	return { p256dh: key.generateKeys("base64url"), auth: randomBytes(16).toString("base64url") };
};

describe("a node", () => {
	it("wakes a device whose page is closed when a terminal rings, until that device goes", async (context) => {
		context.skip(spawnSync("tmux", ["-V"]).status !== 0, "tmux is not installed");
		const { authority } = await Authority.create("Push", [], systemClock, systemRandom);
		const leaf = await authority.issue({ name: "push", hosts: ["127.0.0.1"] });
		const rang = Promise.withResolvers<string>();
		const service = createServer({ cert: leaf.cert + authority.certPem, key: leaf.key }, (incoming, outgoing) => {
			rang.resolve(incoming.url ?? "");
			outgoing.writeHead(201).end();
		});
		await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
		using folder = tempFolder("push-ca");
		writeFileSync(folder.file("ca.crt"), authority.certPem);
		await using node = await startNode({ env: { NODE_EXTRA_CA_CERTS: folder.file("ca.crt") } });
		const ask = async (method: string, path: string, body?: object, token?: string) => {
			const answer = await node.fetch(path, {
				method,
				headers: {
					...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
					...(body === undefined ? {} : { "content-type": "application/json" }),
				},
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
			const text = await answer.text();
			return { status: answer.status, body: (text === "" ? {} : JSON.parse(text)) as Record<string, any> };
		};
		const { token, device } = (await ask("POST", "/api/devices", { name: "phone" })).body as {
			token: string;
			device: { id: string };
		};
		// Whoever comes with the PIN alone has no browser to wake.
		expect((await ask("GET", "/api/push")).status).toBe(403);
		expect((await ask("GET", "/api/push", undefined, token)).body).toMatchObject({ subscribed: false });
		for (const endpoint of ["http://127.0.0.1/x", "file:///etc/passwd", "https://", "x".repeat(2_000)])
			expect((await ask("PUT", "/api/push", { endpoint, keys: keys() }, token)).status, endpoint).toBe(400);
		const endpoint = `https://127.0.0.1:${(service.address() as AddressInfo).port}/to-the-phone`;
		expect((await ask("PUT", "/api/push", { endpoint, keys: keys() }, token)).body["subscribed"]).toBe(true);

		// A bell that rings before anybody has seen the session is no news: the feed says when it was seen.
		const feed = await dialWebSocket(`${node.origin.replace("https", "wss")}/ws/~events`, systemClock, {
			headers: { authorization: node.authorization },
			tls: { ca: node.ca },
		});
		if (!feed.ok) throw new Error(feed.message);
		const seen = new Promise<void>((resolve) =>
			feed.connection.onMessage((data) => {
				if ((JSON.parse(data.toString()) as { type: string }).type === "sessions") resolve();
			}),
		);
		const cord = join(node.home, "cord");
		expect(spawnSync("mkfifo", [cord]).status).toBe(0);
		const command = `sh -c 'read line < ${cord}; printf "\\a"; read line'`;
		expect((await ask("POST", "/api/sessions", { name: "ringer", command })).status).toBe(201);
		await seen;
		feed.connection.terminate();
		writeFileSync(cord, "pull\n");
		expect(await rang.promise).toBe("/to-the-phone");

		const kept = () => readFileSync(join(node.data, "push.json"), "utf8");
		expect(kept()).toContain("to-the-phone");
		expect((await ask("DELETE", `/api/devices/${device.id}`)).status).toBe(204);
		expect(kept()).not.toContain("to-the-phone");
		expect(node.log()).not.toContain(JSON.parse(kept()).key.d);
		service.closeAllConnections();
		service.close();
	}, 120_000);
});
