import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type StockClient, stockClient } from "./stock-client.ts";
import { bearer, call, startPair, type WarrenPair } from "./warren-pair.ts";

/** Machines in their owner's discovery room: with a stock client, and as peers. */
const waitMs = { timeout: 60_000, interval: 100 };
let pair: WarrenPair;
let signedIn: StockClient;
beforeAll(async () => {
	pair = await startPair();
	// A person comes to the second machine: its sidecar syncs, and shows itself, for them from then on.
	signedIn = stockClient(pair.second, "notes", pair.session);
});
afterAll(async () => {
	signedIn?.[Symbol.dispose]();
	await pair?.[Symbol.asyncDispose]();
});

interface Device {
	readonly type: string;
	readonly deviceId: string;
}
const devices = (client: StockClient) => [...client.provider.awareness.getStates().values()] as unknown as Device[];
const sidecars = (client: StockClient) => devices(client).filter((each) => each.type === "sidecar");

describe("discovery", () => {
	it("shows a machine with what it is, its owner stamped by the server, and lists it as a peer", async () => {
		using phone = stockClient(pair.first, "_epicenter_discovery", pair.session);
		await expect.poll(() => sidecars(phone).length, waitMs).toBe(1);
		const { node } = (await (await pair.second.fetch("/api/status")).json()) as { node: { id: string } };
		const me = (await call(pair.first, "GET", "/me", bearer(pair.session))).body.user;
		expect(sidecars(phone)).toEqual([
			{
				type: "sidecar",
				url: expect.stringMatching(`^https://.*:${pair.second.port}$`),
				deviceId: node.id,
				capabilities: ["sync", "workspace", "node"],
				hostname: "burrow",
				userId: me.id,
				sessionDevice: expect.any(String),
			},
		]);
		const { token } = JSON.parse(readFileSync(`${pair.first.data}/console.json`, "utf8")) as { token: string };
		const answer = await call(pair.first, "GET", "/api/peers", bearer(token));
		const found = answer.body.peers.find((each: { port: number }) => each.port === pair.second.port);
		expect(found).toMatchObject({
			sources: expect.arrayContaining(["discovery"]),
			reachable: true,
			trust: "warren",
		});
	}, 60_000);

	it("lets it vanish at once on a clean end and within 30 s of a crash, and shows two of one deviceId", async () => {
		using phone = stockClient(pair.first, "_epicenter_discovery", pair.session);
		using twin = stockClient(pair.first, "_epicenter_discovery", pair.session);
		await expect.poll(() => sidecars(phone).length, waitMs).toBe(1);
		const { deviceId } = sidecars(phone)[0] as Device;
		twin.provider.awareness.setLocalState({ type: "sidecar", deviceId, url: "https://burrow.example" });
		await expect.poll(() => sidecars(phone).map((each) => each.deviceId), waitMs).toEqual([deviceId, deviceId]);
		twin.provider.awareness.setLocalState(null);
		await expect.poll(() => sidecars(phone).length, waitMs).toBe(1);
		await pair.second.stop();
		await expect.poll(() => sidecars(phone).length, { timeout: 5_000, interval: 50 }).toBe(0);
		await pair.restartSecond();
		// Without anybody at its pages: the session was kept.
		await expect.poll(() => sidecars(phone).length, waitMs).toBe(1);
		await pair.second.kill("SIGKILL");
		await expect.poll(() => sidecars(phone).length, { timeout: 32_000, interval: 100 }).toBe(0);
	}, 120_000);
});
