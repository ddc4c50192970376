import { type Clock, systemClock, systemRandom, type UserId } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { DiscoveryAdvert } from "../link/discovery-advert.ts";
import { syncLimits } from "../protocol/index.ts";
import { stockClient, whenPresent } from "../provider.testing.ts";
import { openTestHub, type TestHub } from "../relay.testing.ts";
import { type DeviceState, discoveryRoomId, stampState } from "./device-state.ts";
import { DiscoveryAccess } from "./discovery-access.ts";
import { DiscoveryView, type PresentDevice } from "./discovery-view.ts";
import { ListNews } from "./list-news.ts";
import { OwnPresence } from "./own-presence.ts";

const alice = "alice" as UserId;
const sidecar = (deviceId: string, url = "https://desk.example:3913") => ({
	type: "sidecar",
	url,
	deviceId,
	capabilities: ["sync", "workspace"],
	hostname: "Desk",
});

function discoveryHub(clock?: Clock): Promise<TestHub> {
	return openTestHub({
		access: (documents) => new DiscoveryAccess({ documents }),
		...(clock === undefined ? {} : { clock }),
	});
}

function watched(
	hub: TestHub,
	holds: (devices: readonly PresentDevice[]) => boolean,
	user: UserId = alice,
): Promise<void> {
	const view = new DiscoveryView(hub.relay);
	return new Promise((resolve) => {
		const watch = view.watch(user, check);
		function check(devices: readonly PresentDevice[]): void {
			if (!holds(devices)) return;
			void watch.close();
			resolve();
		}
		check(view.devices(user));
	});
}

describe("discovery", () => {
	it("shows a user's devices to each other, and to nobody else", async () => {
		await using hub = await discoveryHub();
		using desk = stockClient(hub.wsUrl, discoveryRoomId, { user: "alice.desk" });
		using phone = stockClient(hub.wsUrl, discoveryRoomId, { user: "alice.phone" });
		using bob = stockClient(hub.wsUrl, discoveryRoomId, { user: "bob" });
		desk.provider.awareness.setLocalState(sidecar("device_1"));
		phone.provider.awareness.setLocalState({ type: "client", deviceId: "device_2", userId: "bob", urlRefused: "x" });
		await whenPresent(phone, (states) => [...states.values()].some((each) => each["deviceId"] === "device_1"));
		await watched(hub, (devices) => devices.length === 2);
		expect(new DiscoveryView(hub.relay).devices(alice)).toMatchObject([
			{ ...sidecar("device_1"), userId: "alice", sessionDevice: "desk" },
			{ type: "client", deviceId: "device_2", userId: "alice", sessionDevice: "phone" },
		]);
		await bob.synced();
		expect([...bob.provider.awareness.getStates().keys()]).toEqual([bob.doc.clientID]);
	});

	it("keeps no document: what is written there goes nowhere", async () => {
		await using hub = await discoveryHub();
		using desk = stockClient(hub.wsUrl, discoveryRoomId);
		await desk.synced();
		desk.doc.getText("t").insert(0, "x");
		desk.provider.awareness.setLocalState(sidecar("device_1"));
		await watched(hub, (devices) => devices.length === 1);
		expect(await hub.relay.log.rooms()).toEqual([]);
	});

	it("forgets a device at once when it closes, and shortly after it is cut", async () => {
		const clock = new VirtualClock();
		await using hub = await discoveryHub(clock);
		using desk = stockClient(hub.wsUrl, discoveryRoomId);
		using phone = stockClient(hub.wsUrl, discoveryRoomId);
		const present = async (passedMs = 0) => {
			await clock.advance(passedMs);
			return new DiscoveryView(hub.relay).devices(alice).length;
		};
		desk.provider.awareness.setLocalState(sidecar("device_1"));
		phone.provider.awareness.setLocalState({ type: "client", deviceId: "device_2" });
		await expect.poll(() => present()).toBe(2);
		desk.provider.destroy();
		await expect.poll(() => present()).toBe(1);
		phone.provider.shouldConnect = false;
		(phone.provider.ws as unknown as { terminate(): void }).terminate();
		await expect.poll(() => hub.relay.sockets).toBe(0);
		expect(await present(syncLimits.leaveGraceMs - 1)).toBe(1);
		// Not because nobody had heard of it for half a minute.
		expect(await present(1)).toBe(0);
	});

	it("shows two devices with the same id, and takes away only the one that leaves", async () => {
		await using hub = await discoveryHub();
		using one = stockClient(hub.wsUrl, discoveryRoomId);
		using two = stockClient(hub.wsUrl, discoveryRoomId);
		one.provider.awareness.setLocalState(sidecar("same", "https://one.example"));
		two.provider.awareness.setLocalState(sidecar("same", "https://two.example"));
		await watched(hub, (devices) => devices.length === 2);
		one.provider.destroy();
		await watched(hub, (devices) => devices.length === 1);
		expect(new DiscoveryView(hub.relay).devices(alice)).toMatchObject([
			{ deviceId: "same", url: "https://two.example" },
		]);
	});
});

describe("an advertised URL", () => {
	const stamp = (url: string, claim = (_url: URL): string | null => null) =>
		JSON.parse(stampState(JSON.stringify(sidecar("d", url)), { userId: "alice", claim }) ?? "null") as Record<
			string,
			unknown
		>;

	it.each([
		"https://desk.example",
		"https://192.168.1.10:3913",
		"http://[fd5a:1f00:1::1]:8730",
		"http://[fd5a:1f01::5]:1",
	])("may be %s", (url) => {
		expect(stamp(url)).toMatchObject({ url });
	});

	it.each([
		"http://192.168.1.100:3913",
		"http://desk.example",
		"http://[fd5b:1f00::1]/",
		"http://fd5a.example/",
		"https://user:secret@desk.example",
		"javascript:alert(1)",
		"ftp://desk.example",
		"nonsense",
	])("is not shown when it is %s, and the device is told why", (url) => {
		const state = stamp(url);
		expect(state).toMatchObject({ deviceId: "d", urlRefused: expect.any(String) });
		expect(state).not.toHaveProperty("url");
	});

	it("must be the advertiser's to advertise", () => {
		const claim = (url: URL) => (url.hostname === "mine.example" ? null : "it belongs to another device");
		expect(stamp("https://mine.example", claim)).toMatchObject({ url: "https://mine.example" });
		expect(stamp("https://theirs.example", claim)).toMatchObject({ urlRefused: "it belongs to another device" });
	});

	it("comes with a state that is a device's; anything else is passed over", () => {
		const options = { userId: "alice", claim: () => null };
		expect(stampState("{}", options)).toBe('{"userId":"alice"}');
		for (const state of ['{"type":1}', "[]", "7", '{"type":"x","deviceId":""}'])
			expect(stampState(state, options)).toBeNull();
	});
});

describe("the hub's own machine", () => {
	it("is present once the hub has an owner, renews itself, comes back after a cut, and leaves", async () => {
		await using hub = await discoveryHub();
		const clock = new VirtualClock();
		let owner: UserId | null = null;
		let asked = 0;
		let hostname = "Desk";
		const presence = new OwnPresence({
			...{ relay: hub.relay, clock, random: systemRandom },
			user: async () => {
				asked += 1;
				return owner;
			},
			state: () => ({ ...sidecar("hub_1"), hostname }),
		}).start();
		using phone = stockClient(hub.wsUrl, discoveryRoomId, { user: "alice.phone" });
		await phone.synced();
		await clock.advance(2_000);
		expect(asked).toBeGreaterThan(0);
		expect(new DiscoveryView(hub.relay).devices(alice)).toEqual([]);
		owner = alice;
		await clock.advance(2_000);
		await watched(hub, (devices) => devices.length === 1);
		expect(new DiscoveryView(hub.relay).devices(alice)).toMatchObject([{ ...sidecar("hub_1"), userId: "alice" }]);
		hostname = "Desk 2";
		await clock.advance(15_000);
		await whenPresent(phone, (states) => [...states.values()].some((each) => each["hostname"] === "Desk 2"));
		hub.relay.disconnect(({ identity }) => identity === null, 4503, "test", "come back");
		await watched(hub, (devices) => devices.length === 0);
		await clock.advance(15_000);
		await watched(hub, (devices) => devices.length === 1);
		// Not somebody else's to take away: S10.
		phone.provider.awareness.setLocalState({ type: "client", deviceId: "device_2" });
		await watched(hub, (devices) => devices.length === 2);
		presence.close();
		presence.close();
		await watched(hub, (devices) => devices.length === 1);
	});
});

describe("a sidecar's advert", () => {
	it("shows the machine at the hub, hears of the others, and takes itself away", async () => {
		await using hub = await discoveryHub();
		const endpoint = { url: hub.url, token: async () => "session-alice.desk" };
		let heard: (devices: readonly DeviceState[]) => void = () => {};
		const heardOfPhone = new Promise<void>((resolve) => {
			heard = (devices) => {
				if (devices.some((each) => each.deviceId === "device_2")) resolve();
			};
		});
		const deps = { clock: systemClock, random: systemRandom };
		const advert = new DiscoveryAdvert(
			{ ...deps, onDevices: (devices) => heard(devices) },
			endpoint,
			sidecar("device_1"),
		).start();
		await watched(hub, (devices) => devices.length === 1);
		using phone = stockClient(hub.wsUrl, discoveryRoomId, { user: "alice.phone" });
		phone.provider.awareness.setLocalState({ type: "client", deviceId: "device_2" });
		await heardOfPhone;
		await whenPresent(phone, (states) => [...states.values()].some((each) => each["hostname"] === "Desk"));
		advert.update({ ...sidecar("device_1"), hostname: "Desk 2" });
		await whenPresent(phone, (states) => [...states.values()].some((each) => each["hostname"] === "Desk 2"));
		await advert.close();
		await watched(hub, (devices) => devices.length === 1);
		expect(new DiscoveryView(hub.relay).devices(alice)).toMatchObject([{ deviceId: "device_2" }]);
	});

	it("hears that its person's list of documents changed, and nobody else does; to others it is no device", async () => {
		await using hub = await openTestHub({
			access: (documents) => new DiscoveryAccess({ documents }),
			tellsLists: true,
		});
		await using alices = await listener(hub, "alice");
		await using bobs = await listener(hub, "bob");
		using phone = stockClient(hub.wsUrl, discoveryRoomId, { user: "alice.phone" });
		const isNews = (state: Record<string, unknown>) => "documentsChangedAt" in state;

		await hub.documents.create(alice, { id: "notes", title: "Notes" });
		await alices.hears(1);
		await whenPresent(phone, (states) => [...states.values()].some(isNews));
		expect(new DiscoveryView(hub.relay).devices(alice)).toMatchObject([{ deviceId: "alice" }]);
		await whenPresent(phone, (states) => ![...states.values()].some(isNews));
		await hub.documents.rename(alice, "notes", "Notes 2");
		await alices.hears(2);
		expect([alices.times, bobs.times]).toEqual([2, 0]);
		await hub.documents.share(alice, "notes", "bob", "read-write");
		await bobs.hears(1);
		expect(alices.times).toBe(2);
		await hub.documents.delete(alice, "notes");
		await Promise.all([alices.hears(3), bobs.hears(2)]);
	});

	it("hears so once a second at most, whatever changes", async () => {
		await using hub = await discoveryHub();
		await using alices = await listener(hub, "alice");
		const clock = new VirtualClock();
		const news = new ListNews({ relay: hub.relay, clock, random: systemRandom });
		/** Whatever was said before this has been heard. */
		const heardSoFar = async (deviceId: string) => {
			using marker = stockClient(hub.wsUrl, discoveryRoomId, { user: "alice.marker" });
			marker.provider.awareness.setLocalState({ type: "client", deviceId });
			await alices.sees(deviceId);
			return alices.times;
		};
		news.changed(["alice"]);
		await alices.hears(1);
		for (let time = 0; time < 3; time++) news.changed(["alice"]);
		expect(await heardSoFar("device_1")).toBe(1);
		await clock.advance(1_000);
		await alices.hears(2);
		await clock.advance(1_000);
		expect(await heardSoFar("device_2")).toBe(2);
		news.close();
	});

	it("comes back after the hub cut it", async () => {
		await using hub = await discoveryHub();
		const endpoint = { url: hub.url, token: async () => "session-alice.desk" };
		const deps = { clock: systemClock, random: systemRandom };
		const advert = new DiscoveryAdvert(deps, endpoint, sidecar("device_1")).start();
		await watched(hub, (devices) => devices.length === 1);
		hub.relay.disconnect(() => true, 4503, "test", "come back");
		await watched(hub, (devices) => devices.length === 0);
		await watched(hub, (devices) => devices.length === 1);
		await advert.close();
	});
});

/** A machine of this user's, present, that counts what it hears of the list of documents. */
async function listener(hub: TestHub, user: string) {
	const changes = new EventTarget();
	const devices = new Set<string>();
	const until = (holds: () => boolean) =>
		new Promise<void>((resolve) => {
			const look = () => {
				if (!holds()) return;
				changes.removeEventListener("change", look);
				resolve();
			};
			changes.addEventListener("change", look);
			look();
		});
	const listening = {
		times: 0,
		hears: (times: number) => until(() => listening.times >= times),
		sees: (deviceId: string) => until(() => devices.has(deviceId)),
		[Symbol.asyncDispose]: () => advert.close(),
	};
	const deps = {
		...{ clock: systemClock, random: systemRandom },
		onDocuments: () => {
			listening.times += 1;
			changes.dispatchEvent(new Event("change"));
		},
		onDevices: (present: readonly DeviceState[]) => {
			for (const { deviceId } of present) devices.add(deviceId);
			changes.dispatchEvent(new Event("change"));
		},
	};
	const endpoint = { url: hub.url, token: async () => `session-${user}` };
	const advert = new DiscoveryAdvert(deps, endpoint, sidecar(user)).start();
	await watched(hub, (devices) => devices.length > 0, user as UserId);
	return listening;
}
