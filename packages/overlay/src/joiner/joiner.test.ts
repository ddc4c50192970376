import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { freePort, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { appUla, keyBytes } from "../addresses.ts";
import {
	adminToken,
	everybody,
	makeCertificates,
	startCoordinator,
	TestJoiner,
} from "../coordinator/coordinator.testing.ts";
import type { WireGuardKey } from "../protocol/peer-record.ts";
import { looksLikeProbe } from "../protocol/probe.ts";
import { FakeDevice, FakeNetwork } from "./fake-device.testing.ts";
import { Joiner } from "./joiner.ts";
import type { JoinerOptions } from "./joiner-options.ts";
import { addStaticDevice, stockConfig } from "./static-device.ts";

async function join_(
	folder: string,
	coordinators: readonly string[],
	options: Partial<JoinerOptions> = {},
	refuses?: string,
) {
	let device: FakeDevice | undefined;
	const unfit: string[] = [];
	const network = new FakeNetwork();
	const joiner = await Joiner.open(
		{
			clock: systemClock,
			random: systemRandom,
			logger: silentLogger,
			network,
			openDevice: async (wanted) => {
				device = await FakeDevice.open(wanted);
				device.refuses = refuses;
				return device;
			},
			onUnfit: (reason) => void unfit.push(reason),
		},
		{
			folder,
			coordinators,
			tls: null,
			name: "peer",
			network: "default",
			tags: [],
			interfaceName: "test0",
			listenPort: 0,
			relayOnly: false,
			dataPlane: "auto",
			apps: [],
			namePort: null,
			localCandidates: false,
			softwareVersion: "warren/0.1.0",
			bindAddress: () => "::1",
			...options,
		},
	);
	return {
		joiner,
		device: device as FakeDevice,
		...{ network, unfit },
		key: joiner.publicKey as WireGuardKey,
		[Symbol.asyncDispose]: () => joiner.close(),
	};
}

const app = { uuid: "0191e7c2-1111-7222-8333-444455556666", host: "127.0.0.1", port: 1 };

describe("a joiner", () => {
	it("J16 says that its device can serve no longer; opened anew, it has its key and address, and nobody loses it meanwhile", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using other = await join_(folder.file("b"), [server.url], { name: "beta" });
		const first = await join_(folder.file("a"), [server.url], { name: "alpha" });
		await other.device.until(() => other.device.peers.has(first.key));
		first.device.sayUnfit("its host's clock was set back");
		expect(first.unfit).toEqual(["its host's clock was set back"]);
		await first.joiner.close();
		await using again = await join_(folder.file("a"), [server.url], { name: "alpha" });
		expect([again.key, again.joiner.ula]).toEqual([first.key, first.joiner.ula]);
		await again.device.until(() => again.device.peers.has(other.key));
		expect(other.device.removals).toBe(0);
	});

	it("J1 takes an address of the network that it is moved to, instead of the one that it had", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		const first = await join_(folder.file("a"), [server.url], { name: "alpha" });
		const before = first.joiner.ula;
		await first.joiner.close();
		await using moved = await join_(folder.file("a"), [server.url], { name: "alpha", network: "attic" });
		await using other = await join_(folder.file("b"), [server.url], { name: "beta", network: "attic" });
		await moved.device.until(() => moved.device.peers.has(other.key));
		expect([moved.key, moved.joiner.ula === before]).toEqual([first.key, false]);
	});

	it("J1 serves other apps when it is told so: the address moves to them, and from one peer to the next", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha" });
		await using b = await join_(folder.file("b"), [server.url], { name: "beta" });
		await using c = await join_(folder.file("c"), [server.url], { name: "gamma" });
		const ula = appUla(app.uuid) as string;
		const seenAt = (key: WireGuardKey) => a.device.peers.get(key)?.allowedIps.includes(`${ula}/128`) === true;
		await b.joiner.setApps([app]);
		expect([b.network.addresses.has(ula), b.joiner.appPortOf(ula)]).toEqual([true, expect.any(Number)]);
		await a.device.until(() => seenAt(b.key));
		const port = b.joiner.appPortOf(ula);
		await b.joiner.setApps([app]);
		expect(b.joiner.appPortOf(ula), "what stays is not disturbed").toBe(port);
		await b.joiner.setApps([{ ...app, port: 2 }]);
		expect(b.joiner.appPortOf(ula)).toEqual(expect.any(Number));
		await b.joiner.setApps([]);
		expect([b.network.addresses.has(ula), b.joiner.appPortOf(ula)]).toEqual([false, null]);
		await c.joiner.setApps([app]);
		await a.device.until(() => seenAt(c.key) && !seenAt(b.key));
	});

	it("J18 goes on without an app that cannot be served, says so, and serves it once it can", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		const other = { ...app, uuid: "0191e7c2-1111-7222-8333-444455557777" };
		const [taken, free] = [app, other].map(({ uuid }) => appUla(uuid) as string) as [string, string];
		let isTaken = true;
		// 2001:db8::/32 is nobody's (RFC 3849): as an address that has not come yet.
		const bindAddress = (ula: string) => (ula === taken && isTaken ? "2001:db8::1" : "::1");
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha", apps: [app, other], bindAddress });
		expect([a.joiner.appPortOf(taken), a.joiner.appPortOf(free)]).toEqual([null, expect.any(Number)]);
		const told = () => a.joiner.health.list().filter(({ code }) => code === "overlay-app-not-served");
		expect(told()).toMatchObject([{ subject: taken, title: expect.stringMatching(/EADDRNOTAVAIL/) }]);
		await a.joiner.setApps([app]);
		expect([a.joiner.appPortOf(taken), told().length]).toEqual([null, 1]);
		isTaken = false;
		const served = new Promise<void>((resolve) => {
			a.joiner.health.watch(() => told().length === 0 && resolve());
		});
		// What has changed is told by a heartbeat, and before each it is tried again.
		await served;
		expect(a.joiner.appPortOf(taken)).toEqual(expect.any(Number));
		await expect(a.joiner.setApps([app, { ...app, uuid: "no uuid" }])).rejects.toMatchObject({ code: "bad_config" });
		await a.joiner.setApps([app]);
		expect(a.joiner.appPortOf(taken)).toEqual(expect.any(Number));
		await a.joiner.setApps([]);
		expect(told()).toEqual([]);
	});

	it("J1 two meet: device peers, /128 routes, a direct path by probes, datagrams arrive", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha" });
		await using b = await join_(folder.file("b"), [server.url], { name: "beta", apps: [app] });
		// What is measured has answered. A route is also direct while there is no relay yet, whether anything is there or not.
		await a.device.until(() => a.device.mtus.get(b.key) === 1420);
		await b.device.until(() => b.device.mtus.get(a.key) === 1420);
		expect(a.device.options.addresses).toEqual([`${a.joiner.ula}/128`]);
		const ula = appUla(app.uuid) as string;
		expect(a.device.peers.get(b.key)?.allowedIps).toEqual([`${b.joiner.ula}/128`, `${ula}/128`]);
		expect([...a.network.routes]).toEqual([b.joiner.ula, ula]);
		expect(b.network.addresses.has(ula)).toBe(true);
		// A machine that stood still meanwhile has doubts about the path, and would send both ways.
		await a.device.until(() => a.device.routes.get(b.key) === "direct");
		a.device.send(keyBytes(b.key), "hello");
		await b.device.until(() => b.device.received.length > 0);
		expect(b.device.received).toEqual([{ via: "direct", text: "hello" }]);
		await b.joiner.leave();
		await a.device.until(() => a.device.peers.size === 0);
		await a.joiner.close();
		expect(a.network.routes.size).toBe(0);
	});

	it("J1 a peer that the device refuses costs nobody else his: neither route nor place", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using refused = new TestJoiner(server.url);
		await refused.register({ display_name: "refused" });
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha" }, refused.key);
		await using b = await join_(folder.file("b"), [server.url], { name: "beta" });
		await a.device.until(() => a.device.peers.has(b.key));
		await refused.heartbeat({ hosted_app_ulas: [appUla(app.uuid)] });
		await using c = await join_(folder.file("c"), [server.url], { name: "gamma" });
		await a.device.until(() => a.device.peers.has(c.key));
		expect(a.network.routes.has(refused.ula)).toBe(false);
		expect([...a.device.peers.keys()].toSorted()).toEqual([b.key, c.key].toSorted());
	});

	it("J17 says how it stands also when its device cannot say how it stands", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha" });
		await using b = await join_(folder.file("b"), [server.url], { name: "beta" });
		await a.device.until(() => a.device.peers.has(b.key));
		a.device.isGone = true;
		a.joiner.health.raise({ code: "gone", severity: "error", title: "It is gone", advice: "", delayMs: 0 });
		expect(await a.joiner.status()).toMatchObject({
			...{
				name: "alpha",
				interface: "test0",
				data_plane: null,
				conditions: expect.arrayContaining([expect.objectContaining({ code: "gone" })]),
			},
			peers: [{ display_name: "beta", rx_bytes: 0 }],
		});
	});

	it("J17 the others learn that a device cannot say how it stands, and that it can again", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha" });
		const told = async () => {
			const answer = await fetch(`${server.url}/v1/mesh/peers`, { headers: { authorization: `Bearer ${adminToken}` } });
			return ((await answer.json()) as { peers: { connectivity: string }[] }).peers.map(
				({ connectivity }) => connectivity,
			);
		};
		expect(await told()).toEqual(["direct"]);
		a.device.isGone = true;
		await a.joiner.status();
		await expect.poll(told).toEqual(["dead"]);
		a.device.isGone = false;
		await a.joiner.status();
		await expect.poll(told).toEqual(["direct"]);
	});

	it("J1 a route that somebody removed comes back with the next word of its peer", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha" });
		await using b = await join_(folder.file("b"), [server.url], { name: "beta" });
		await a.device.until(() => a.device.peers.has(b.key));
		expect(a.network.routes.delete(b.joiner.ula)).toBe(true);
		await b.joiner.setApps([app]);
		await a.device.until(() => a.device.peers.get(b.key)?.allowedIps.length === 2);
		expect([...a.network.routes]).toEqual([b.joiner.ula, appUla(app.uuid)]);
	});

	it("P15 a peer whose authenticated datagrams come from elsewhere is probed there", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha" });
		await using b = await join_(folder.file("b"), [server.url], { name: "beta" });
		await a.device.until(() => a.device.routes.get(b.key) === "direct");
		const elsewhere = createSocket("udp4");
		try {
			await new Promise<void>((resolve) => elsewhere.bind(0, "127.0.0.1", resolve));
			const probed = new Promise<Uint8Array>((resolve) => elsewhere.once("message", resolve));
			a.device.roam(b.key, { address: "127.0.0.1", port: elsewhere.address().port });
			expect(looksLikeProbe(await probed)).toBe(true);
		} finally {
			await new Promise<void>((resolve) => elsewhere.close(() => resolve()));
		}
	});

	it("J2 a relay-only peer is reached through the relay, both ways", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url]);
		await using b = await join_(folder.file("b"), [server.url], { relayOnly: true });
		await Promise.all([
			a.device.until(() => a.device.routes.get(b.key) === "relay"),
			b.device.until(() => b.device.routes.get(a.key) === "relay"),
		]);
		// The lanes open by themselves; what is sent before is lost, as on any network, and sent again.
		const send = setInterval(() => {
			a.device.send(keyBytes(b.key), "there");
			b.device.send(keyBytes(a.key), "back");
		}, 50);
		await Promise.all([
			b.device.until(() => b.device.received.length > 0),
			a.device.until(() => a.device.received.length > 0),
		]);
		clearInterval(send);
		expect(b.device.received[0]).toEqual({ via: "relay", text: "there" });
		expect(a.device.received[0]).toEqual({ via: "relay", text: "back" });
	});

	it("J3 with mutual TLS it boots from its signed roster while every coordinator is down; a tampered one is not believed", async () => {
		using folder = tempFolder("joiner");
		using certificates = await makeCertificates({ a: ["x"], b: ["x"] });
		const options = { tls: certificates.peers["a"] as { ca: string; cert: string; key: string } };
		let url = "";
		let peer = "";
		let ula = "";
		{
			await using server = await startCoordinator({ tls: certificates.server });
			url = server.url;
			await using other = new TestJoiner(server.url, certificates.peers["b"]);
			await other.register({ display_name: "other", listen_endpoint: "127.0.0.1:9" });
			peer = other.key;
			await using a = await join_(folder.file("a"), [url], options);
			expect(a.device.peers.has(peer)).toBe(true);
			await a.joiner.saveRoster();
			ula = a.joiner.ula;
		}
		{
			await using a = await join_(folder.file("a"), [url], options);
			expect(a.joiner.ula).toBe(ula);
			expect(a.device.peers.has(peer)).toBe(true);
			await a.device.until(() => a.device.routes.get(peer) === "direct");
			expect((await a.joiner.status()).connected).toBe(false);
		}
		const file = folder.file("a/roster.json");
		const signed = JSON.parse(readFileSync(file, "utf8")) as { roster: string };
		writeFileSync(file, JSON.stringify({ ...signed, roster: signed.roster.replace("other", "0ther") }));
		await expect(join_(folder.file("a"), [url], options)).rejects.toThrow(/cannot be asked/);
		expect(existsSync(folder.file("a/identity.json"))).toBe(true);
	});

	it("J4 a coordinator that is restarted finds its peers again, with their addresses", async () => {
		using folder = tempFolder("joiner");
		const first = await startCoordinator({ port: await freePort() });
		await using a = await join_(folder.file("a"), [first.url]);
		await using b = await join_(folder.file("b"), [first.url]);
		const before = [a.joiner.ula, b.joiner.ula];
		await a.device.until(() => a.device.peers.has(b.key));
		await first[Symbol.asyncDispose]();
		await using second = await startCoordinator({ port: first.port });
		await using watcher = new TestJoiner(second.url);
		await watcher.register({ requested_ula: "fd5a:1f00:0:1f4::1" });
		const stream = await watcher.stream();
		await stream.until((events) => events.filter((each) => each.event === "peer_added").length === 2);
		stream.close();
		expect([a.joiner.ula, b.joiner.ula]).toEqual(before);
		// Whoever talks goes on talking: neither was ever taken from the other's device.
		expect(a.device.peers.has(b.key) && b.device.peers.has(a.key)).toBe(true);
		expect([a.device.removals, b.device.removals]).toEqual([0, 0]);
	});

	it("J5 the next coordinator is asked when the first does not answer", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		const dead = await startCoordinator();
		await dead[Symbol.asyncDispose]();
		await using a = await join_(folder.file("a"), [server.url]);
		expect(a.joiner.connected).toBe(true);
		await expect(join_(folder.file("b"), [dead.url])).rejects.toThrow(/cannot be asked/);
	});

	it("J3 a disk that takes nothing more keeps nobody off the overlay who has a key", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		const first = await join_(folder.file("a"), [server.url], { name: "alpha" });
		const { key, joiner } = first;
		await joiner.close();
		// As a full disk refuses it, and also to root.
		for (const file of ["identity.json", "roster.json", "status.json"]) mkdirSync(folder.file(`a/${file}.new`));
		await using again = await join_(folder.file("a"), [server.url], { name: "alpha", network: "attic" });
		await using other = await join_(folder.file("b"), [server.url], { name: "beta", network: "attic" });
		await again.device.until(() => again.device.peers.has(other.key));
		expect([again.key, again.joiner.ula === joiner.ula]).toEqual([key, false]);
	});

	it("J6 its secrets are 0600, and a corrupt file is set aside", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		const path = folder.file("a");
		let key = "";
		{
			await using a = await join_(path, [server.url]);
			key = a.key;
			for (const name of ["private.key", "identity.json"])
				expect(statSync(join(path, name)).mode & 0o777, name).toBe(0o600);
			expect(statSync(path).mode & 0o777).toBe(0o700);
		}
		writeFileSync(join(path, "private.key"), "gone wrong");
		writeFileSync(join(path, "identity.json"), "{");
		await using again = await join_(path, [server.url]);
		expect(again.key).not.toBe(key);
		expect(readFileSync(join(path, "private.key.corrupt"), "utf8")).toBe("gone wrong");
		expect(existsSync(join(path, "identity.json.corrupt"))).toBe(true);
	});

	it("J6 a key that cannot be read now is not set aside for another one", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		const first = await join_(folder.file("a"), [server.url], { name: "alpha" });
		await first.joiner.close();
		// Reading it fails, and says nothing of what it holds: so do a process's last descriptor and a worn disk.
		const key = folder.file("a/private.key");
		renameSync(key, folder.file("kept"));
		mkdirSync(key);
		await expect(join_(folder.file("a"), [server.url], { name: "alpha" })).rejects.toThrow(/EISDIR/);
		expect(existsSync(`${key}.corrupt`)).toBe(false);
		rmdirSync(key);
		renameSync(folder.file("kept"), key);
		await using again = await join_(folder.file("a"), [server.url], { name: "alpha" });
		expect(again.key).toBe(first.key);
	});

	it("J7 an app's address answers on the host that serves it; names resolve", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		const service = createServer((socket) => socket.end("from the app"));
		await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
		const { port } = service.address() as { port: number };
		await using a = await join_(folder.file("a"), [server.url], {
			name: "Alpha One",
			apps: [{ ...app, port }],
			namePort: 0,
		});
		await using b = await join_(folder.file("b"), [server.url], { name: "beta", namePort: 0 });
		const text = await new Promise<string>((resolve, reject) => {
			let received = "";
			const socket = connect(a.joiner.appPortOf(appUla(app.uuid) as string) as number, "::1");
			socket
				.on("data", (part) => (received += part.toString()))
				.on("end", () => resolve(received))
				.on("error", reject);
		});
		expect(text).toBe("from the app");
		const resolver = new Resolver({ timeout: 10_000, tries: 1 });
		resolver.setServers([`[::1]:${b.joiner.namePort}`]);
		const short = (ula: string) => new URL(`http://[${ula}]`).hostname.slice(1, -1);
		expect(await resolver.resolve6("alpha-one.warren.internal")).toEqual([short(a.joiner.ula)]);
		expect(await resolver.resolve6("beta.warren.internal")).toEqual([short(b.joiner.ula)]);
		expect(await resolver.resolve6(`${app.uuid}.warren.internal`)).toEqual([appUla(app.uuid)]);
		await expect(resolver.resolve6("nobody.warren.internal")).rejects.toMatchObject({ code: "ENOTFOUND" });
		await expect(resolver.resolve6("example.org")).rejects.toMatchObject({ code: "EREFUSED" });
		await new Promise((resolve) => service.close(resolve));
	});

	it("J13 an app's name resolves wherever its address is reached, until it is taken off; a machine's name goes first", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "alpha", namePort: 0 });
		await using b = await join_(folder.file("b"), [server.url], { name: "beta", namePort: 0 });
		const ula = appUla(app.uuid) as string;
		const resolvers = [a, b].map(({ joiner }) => {
			const resolver = new Resolver({ timeout: 10_000, tries: 1 });
			resolver.setServers([`[::1]:${joiner.namePort}`]);
			return resolver;
		});
		const find = (name: string) =>
			Promise.all(resolvers.map((each) => each.resolve6(`${name}.warren.internal`).catch((fault) => fault.code)));
		const reaches = () => a.device.peers.get(b.key)?.allowedIps.includes(`${ula}/128`) === true;
		await b.joiner.setApps([{ ...app, name: "web" }]);
		await a.device.until(reaches);
		expect(await find("web")).toEqual([[ula], [ula]]);
		await b.joiner.setApps([{ ...app, name: "alpha" }]);
		await expect.poll(() => find("web")).toEqual(["ENOTFOUND", "ENOTFOUND"]);
		const short = new URL(`http://[${a.joiner.ula}]`).hostname.slice(1, -1);
		expect(await find("alpha")).toEqual([[short], [short]]);
		await b.joiner.setApps([]);
		await a.device.until(() => !reaches());
		expect(await find(app.uuid)).toEqual(["ENOTFOUND", "ENOTFOUND"]);
	});

	it("J8 ports and directions of the policy become the device's rules", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator({
			policy: '{"acls":[{"action":"accept","src":["tag:web"],"dst":["tag:db"],"proto":"tcp","ports":[5432]}]}',
		});
		await using db = await join_(folder.file("db"), [server.url], { tags: ["db"] });
		await using web = await join_(folder.file("web"), [server.url], { tags: ["web"] });
		await db.device.until(() => db.device.rules !== null);
		await web.device.until(() => web.device.rules !== null);
		expect(db.device.rules).toEqual([
			{ direction: "in", addresses: [`${web.joiner.ula}/128`], protocol: "tcp", ports: [[5432, 5432]] },
		]);
		expect(web.device.rules).toEqual([
			{ direction: "out", addresses: [`${db.joiner.ula}/128`], protocol: "tcp", ports: [[5432, 5432]] },
		]);
	});

	it("J9 a stock client behind a node is its peer there, and everybody else's by way of that node", async () => {
		using folder = tempFolder("joiner");
		await using server = await startCoordinator();
		await using a = await join_(folder.file("a"), [server.url], { name: "gate" });
		await using b = await join_(folder.file("b"), [server.url]);
		const phone = new TestJoiner("").key;
		const device = await addStaticDevice(
			{ folder: folder.file("a"), coordinators: [server.url], tls: null, clock: systemClock, logger: silentLogger },
			"phone",
			phone,
		);
		await a.device.until(() => a.device.peers.has(phone));
		expect(a.device.peers.get(phone)?.allowedIps).toEqual([`${device.ula}/128`]);
		expect(a.network.forwards).toBe(true);
		await b.device.until(() => (b.device.peers.get(a.key)?.allowedIps.length ?? 0) > 1);
		expect(b.device.peers.get(a.key)?.allowedIps).toEqual([`${a.joiner.ula}/128`, `${device.ula}/128`]);
		expect(b.device.peers.has(phone)).toBe(false);
		const text = stockConfig({
			privateKey: "PRIVATE",
			ula: device.ula,
			gatewayKey: a.key,
			gatewayEndpoint: "192.0.2.1:51820",
			dns: a.joiner.ula,
		});
		expect(text).toContain(`Address = ${device.ula}/128`);
		expect(text).toContain("AllowedIPs = fd5a:1f00::/32, fd5a:1f02::/32");
	});

	it("J15 a machine whose certificate is over, or not good yet by its clock, is told so", async () => {
		using folder = tempFolder("joiner");
		using certificates = await makeCertificates({});
		await using server = await startCoordinator({ tls: certificates.server });
		for (const [name, startsInDays, why] of [
			["over", -40, /certificate ended on .*this host's clock says/],
			["early", 40, /certificate begins on .*this host's clock says/],
		] as const) {
			const tls = await certificates.issue(name, ["x"], [], startsInDays);
			await expect(join_(folder.file(name), [server.url], { tls })).rejects.toThrow(why);
		}
	});

	it("J10 a refused machine is told why, and has no device", async () => {
		using folder = tempFolder("joiner");
		using certificates = await makeCertificates({ a: ["x"] });
		await using server = await startCoordinator({
			tls: certificates.server,
			policy: everybody,
			joinTokens: { validate: async () => null },
		});
		const tls = certificates.peers["a"] as { ca: string; cert: string; key: string };
		await expect(join_(folder.file("a"), [server.url], { tls })).rejects.toMatchObject({
			code: "bad_token",
			status: 401,
		});
	});
});
