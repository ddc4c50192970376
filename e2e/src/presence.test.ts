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
	readonly hostname?: string;
}
const devices = (client: StockClient) => [...client.provider.awareness.getStates().values()] as unknown as Device[];
const machines = (client: StockClient) => devices(client).filter((each) => each.type === "sidecar");
const isHub = (device: Device) => device.hostname === "atlas";
/** Without the hub's own machine. */
const sidecars = (client: StockClient) => machines(client).filter((each) => !isHub(each));

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

	it("shows the hub's own machine too, which is a peer of the others and none of its own", async () => {
		using phone = stockClient(pair.first, "_epicenter_discovery", pair.session);
		await expect.poll(() => machines(phone).filter(isHub), waitMs).toHaveLength(1);
		const consoleOf = ({ data }: WarrenPair["first"]) =>
			bearer((JSON.parse(readFileSync(`${data}/console.json`, "utf8")) as { token: string }).token);
		const { node } = (await call(pair.first, "GET", "/api/status", consoleOf(pair.first))).body;
		const me = (await call(pair.first, "GET", "/me", bearer(pair.session))).body.user;
		expect(machines(phone).find(isHub)).toEqual({
			type: "sidecar",
			url: expect.stringMatching(`^https://.*:${pair.first.port}$`),
			deviceId: node.id,
			capabilities: ["sync", "workspace", "node"],
			hostname: "atlas",
			userId: me.id,
		});
		const peersOf = async (at: WarrenPair["first"]) =>
			(await call(at, "GET", "/api/peers", consoleOf(at))).body.peers as { port: number; sources: string[] }[];
		const seen = async () => (await peersOf(pair.second)).find((each) => each.port === pair.first.port);
		await expect.poll(async () => (await seen())?.sources ?? [], waitMs).toContain("discovery");
		const own = (await peersOf(pair.first)).filter((each) => each.port === pair.first.port);
		expect(own.flatMap((each) => each.sources)).not.toContain("discovery");
	}, 60_000);

	it("lets a machine and a client that say nothing any more vanish, though their sockets stay open", async () => {
		using phone = stockClient(pair.first, "_epicenter_discovery", pair.session);
		using tablet = stockClient(pair.first, "_epicenter_discovery", pair.session);
		const clients = () => devices(phone).filter((each) => each.type === "client");
		tablet.provider.awareness.setLocalState({ type: "client", deviceId: "tablet-0123456789", hostname: "tablet" });
		await expect.poll(() => [sidecars(phone).length, clients().length], waitMs).toEqual([1, 1]);
		// The machine lost its power and the tablet its network: no socket is closed, nothing is renewed.
		const { process: serving } = (await (await pair.second.fetch("/api/status")).json()) as {
			process: { pid: number };
		};
		const frozen = [pair.second.pid, serving.pid];
		let closed = false;
		tablet.provider.on("connection-close", () => {
			closed = true;
		});
		// One renews its state every 15 s; the other takes 30 s without a message for a dead line and comes again.
		for (const renewing of [tablet.provider.awareness, tablet.provider])
			clearInterval((renewing as unknown as { _checkInterval: NodeJS.Timeout })._checkInterval);
		// And it contradicts whoever says that it is gone, once it hears of that.
		const { _awarenessUpdateHandler: say } = tablet.provider as unknown as { _awarenessUpdateHandler: () => void };
		expect(say).toBeTypeOf("function");
		tablet.provider.awareness.off("update", say);
		try {
			for (const pid of frozen) process.kill(pid, "SIGSTOP");
			const frozenAt = performance.now();
			await expect
				.poll(() => [sidecars(phone).length, clients().length], { timeout: 90_000, interval: 50 })
				.toEqual([0, 0]);
			// Not because something else was cut: the last word of either was renewed within these.
			expect(performance.now() - frozenAt).toBeGreaterThan(2_000);
			expect(closed).toBe(false);
		} finally {
			for (const pid of frozen.reverse()) process.kill(pid, "SIGCONT");
		}
		// It wakes up, and is there again.
		await expect.poll(() => sidecars(phone).length, waitMs).toBe(1);
	}, 240_000);

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
		await expect.poll(() => sidecars(phone).length, { timeout: 20_000, interval: 50 }).toBe(0);
		await pair.restartSecond();
		// Without anybody at its pages: the session was kept.
		await expect.poll(() => sidecars(phone).length, waitMs).toBe(1);
		await pair.second.kill("SIGKILL");
		await expect.poll(() => sidecars(phone).length, { timeout: 60_000, interval: 100 }).toBe(0);
	}, 120_000);
});
