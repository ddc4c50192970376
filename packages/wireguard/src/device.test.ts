import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { OverlayRule } from "@warren/kernel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodePrimitives as p } from "./crypto/node-primitives.ts";
import { answered, type LabDevice, missingForNamespaces, NetworkLab } from "./network-lab.testing.ts";

const missing = missingForNamespaces();
const transfer = join(import.meta.dirname, "tcp-transfer-process.testing.ts");
const keyA = Uint8Array.from(randomBytes(32));
const keyB = Uint8Array.from(randomBytes(32));
const publicA = p.publicKey(keyA);
const publicB = p.publicKey(keyB);
const allowedA = ["10.9.0.1/32", "fd09::1/128"];
const allowedB = ["10.9.0.2/32", "fd09::2/128"];

/** The scenarios of the kernel's own netns.sh, and ours, on both data planes. */
describe.each(["offload", "portable"] as const)("a device on the %s data plane", (dataPlane) => {
	let net: NetworkLab;

	beforeEach((context) => {
		if (missing !== null) context.skip(true, missing);
		net = new NetworkLab();
	});
	afterEach(() => net?.close());

	interface Pair {
		readonly hosts: readonly [string, string];
		readonly a: LabDevice;
		readonly b: LabDevice;
	}

	/** Two hosts on one cable, each with a device that knows the other; `a` knows where. */
	async function pair({ mtu = 1420, underlay = 1500, timestampFile = null as string | null } = {}): Promise<Pair> {
		const hosts = [net.host("a"), net.host("b")] as const;
		net.cable(hosts[0], ["10.200.0.1/24", "fd00:200::1/64"], hosts[1], ["10.200.0.2/24", "fd00:200::2/64"], underlay);
		const [a, b] = await Promise.all([
			net.device(hosts[0], {
				privateKey: keyA,
				dataPlane,
				mtu,
				timestampFile,
				addresses: ["10.9.0.1/24", "fd09::1/64"],
			}),
			net.device(hosts[1], { privateKey: keyB, dataPlane, mtu, addresses: ["10.9.0.2/24", "fd09::2/64"] }),
		]);
		await a.setPeer({ publicKey: publicB, allowedIps: allowedB, endpoint: { address: "10.200.0.2", port: 51820 } });
		await b.setPeer({ publicKey: publicA, allowedIps: allowedA });
		return { hosts, a, b };
	}

	/** Sends bytes by TCP; both ends' hashes agree. */
	async function sendTcp(from: string, to: string, address: string, bytes: number): Promise<void> {
		const server = net.start(to, process.execPath, [transfer, "serve", address], "pipe");
		const lines = createInterface({ input: server.stdout! })[Symbol.asyncIterator]();
		const port = (await lines.next()).value as string;
		const client = net.start(from, process.execPath, [transfer, "send", address, port, String(bytes)], "pipe");
		const sent = (await createInterface({ input: client.stdout! })[Symbol.asyncIterator]().next()).value as string;
		expect((await lines.next()).value).toBe(sent);
		expect(sent).toMatch(/^[0-9a-f]{64}$/);
	}

	it("carries pings and bulk TCP both ways over v4 and v6, inside and outside", async () => {
		const { hosts, a, b } = await pair();
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		expect(net.ping(hosts[1], "fd09::1")).toBe(3);
		expect(net.ping(hosts[0], "fd09::2", { bytes: 20_000 })).toBe(3);
		// A super-packet of the kernel's is one train of ours.
		if (dataPlane === "offload")
			expect(net.ip("-n", hosts[0], "-d", "link", "show", "wg0")).toMatch(/gso_max_segs 45 /);
		await sendTcp(hosts[0], hosts[1], "10.9.0.2", 20_000_000);
		await sendTcp(hosts[1], hosts[0], "fd09::1", 10_000_000);
		// What the other still sends by v4 (an acknowledgement, a keepalive) would rightly move the endpoint back: v4 is cut,
		// and what has come by it is worked off first.
		net.ip("-n", hosts[0], "addr", "del", "10.200.0.1/24", "dev", "va0");
		for (let turn = 0; turn < 3; turn++) await a.status();
		await a.call("setEndpoint", publicB, { address: "fd00:200::2", port: 51820 });
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		expect((await b.status()).peers[0]?.endpoint).toEqual({ address: "fd00:200::1", port: 51820 });
		await sendTcp(hosts[0], hosts[1], "fd09::2", 10_000_000);
		const { counters } = await b.status();
		expect(counters).toMatchObject({ notAuthentic: 0, replayed: 0, malformedPacket: 0, wrongSource: 0, tunErrors: 0 });
	});

	it("carries UDP of every size both ways over v4 and v6, in fragments where it must, and loses none", async () => {
		const { hosts, a, b } = await pair();
		const echo = `const socket = require("node:dgram").createSocket("udp6");
			socket.on("message", (bytes, { port, address }) => socket.send(bytes, port, address));
			socket.bind(7000, "::", () => console.log("ready"));`;
		const server = net.start(hosts[1], process.execPath, ["-e", echo], "pipe");
		await createInterface({ input: server.stdout! })[Symbol.asyncIterator]().next();
		// As many on their way as a socket's buffer holds: what is lost is lost by us.
		const ask = (address: string) => `const crypto = require("node:crypto");
			const socket = require("node:dgram").createSocket("udp6");
			const sizes = [0, 1, 15, 16, 512, 1200, 1372, 1392, 1393, 1500, 4000, 9000];
			const wanted = Array.from({ length: 1200 }, (_, at) => crypto.randomBytes(4 + sizes[at % sizes.length]));
			wanted.forEach((bytes, at) => bytes.writeUInt32BE(at));
			let [next, right] = [0, 0];
			const send = () => next < wanted.length && socket.send(wanted[next++], 7000, "${address}");
			socket.on("message", (bytes) => {
				if (bytes.equals(wanted[bytes.readUInt32BE()])) right += 1;
				if (right === wanted.length) console.log(right), socket.close();
				else send();
			});
			socket.bind(0, "::", () => Array.from({ length: 8 }, send));`;
		for (const address of ["::ffff:10.9.0.2", "fd09::2"]) {
			const client = net.start(hosts[0], process.execPath, ["-e", ask(address)], "pipe");
			expect((await createInterface({ input: client.stdout! })[Symbol.asyncIterator]().next()).value).toBe("1200");
		}
		for (const each of [a, b])
			expect((await each.status()).counters).toMatchObject({ notAuthentic: 0, malformedPacket: 0, tunErrors: 0 });
	});

	it("carries jumbo packets where the underlay does", async () => {
		const { hosts } = await pair({ mtu: 8920, underlay: 9000 });
		expect(net.ping(hosts[0], "10.9.0.2", { bytes: 8892, pathMtu: true })).toBe(3);
		await sendTcp(hosts[0], hosts[1], "10.9.0.2", 5_000_000);
	});

	it("S6 follows a peer that changes its address", async () => {
		const { hosts, a, b } = await pair();
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		net.ip("-n", hosts[0], "addr", "del", "10.200.0.1/24", "dev", "va0");
		net.ip("-n", hosts[0], "addr", "add", "10.200.0.77/24", "dev", "va0");
		expect(net.ping(hosts[0], "10.9.0.2")).toBeGreaterThan(0);
		expect((await b.status()).peers[0]?.endpoint?.address).toBe("10.200.0.77");
		expect(net.ping(hosts[1], "10.9.0.1")).toBe(3);
		expect(await a.event((event) => event === "peerChange")).toEqual([publicB]);
	});

	it("S6 answers from the address that was spoken to", async (context) => {
		context.skip(dataPlane === "portable", "node:dgram cannot choose the source of an answer");
		const { hosts, a } = await pair();
		net.ip("-n", hosts[1], "addr", "add", "10.200.0.22/24", "dev", "vb0");
		await a.call("setEndpoint", publicB, { address: "10.200.0.22", port: 51820 });
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		expect((await a.status()).peers[0]?.endpoint?.address).toBe("10.200.0.22");
	});

	it("S5 lets nobody use an address that is not theirs, nor reach one that nobody has", async () => {
		const { hosts, b } = await pair();
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		net.ip("-n", hosts[0], "addr", "add", "10.9.0.66/32", "dev", "wg0");
		expect(net.ping(hosts[0], "10.9.0.3", { count: 1, expects: "none" })).toBe(0);
		net.ip("-n", hosts[0], "addr", "del", "10.9.0.1/24", "dev", "wg0");
		net.ip("-n", hosts[0], "route", "add", "10.9.0.0/24", "dev", "wg0");
		expect(net.ping(hosts[0], "10.9.0.2", { count: 2, expects: "none" })).toBe(0);
		expect((await b.status()).counters["wrongSource"]).toBeGreaterThan(0);
	});

	it("S8 is not its own way: an endpoint inside the tunnel carries nothing, and costs nothing", async () => {
		const { hosts, a } = await pair();
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		for (const inside of ["10.9.0.2", "fd09::2"]) {
			await a.call("setEndpoint", publicB, { address: inside, port: 51820 });
			const { counters } = await a.status();
			expect(net.ping(hosts[0], "10.9.0.2", { expects: "none", bytes: 5000 })).toBe(0);
			const dropped = ((await a.status()).counters["dropped"] ?? 0) - (counters["dropped"] ?? 0);
			expect(dropped, "what came back").toBeGreaterThanOrEqual(3);
			expect(dropped, "and once").toBeLessThan(100);
		}
		await a.call("setEndpoint", publicB, { address: "10.200.0.2", port: 51820 });
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
	});

	it("S5 refuses a peer's key of small order to whoever gives it, and the others talk on", async () => {
		const { hosts, a } = await pair();
		const one = Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 1 : 0));
		await expect(a.setPeer({ publicKey: one, allowedIps: ["10.9.0.9/32"] })).rejects.toThrow(/small order/);
		expect((await a.status()).peers).toHaveLength(1);
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
	});

	it("S5 holds 131,072 allowed prefixes of a peer", async () => {
		const { hosts, a } = await pair();
		const many = Array.from(
			{ length: 131_072 },
			(_, at) => `172.${16 + (at >> 14)}.${(at >> 6) & 255}.${(at & 63) * 4}/30`,
		);
		await a.setPeer({ publicKey: publicB, allowedIps: [...allowedB, ...many] });
		expect((await a.status()).peers[0]?.allowedIps).toHaveLength(131_074);
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
	});

	it("F4 answers too-big inside, so that a narrow path carries TCP", async () => {
		const { hosts, a, b } = await pair({ underlay: 1280 });
		await a.call("setMtu", publicB, 1200);
		await b.call("setMtu", publicA, 1200);
		expect(net.ping(hosts[0], "10.9.0.2", { bytes: 1172, pathMtu: true })).toBe(3);
		expect(net.ping(hosts[0], "10.9.0.2", { bytes: 1173, pathMtu: true, count: 1, expects: "none" })).toBe(0);
		expect(net.run(hosts[0], "ip", "route", "get", "10.9.0.2")).toMatch(/mtu 1200/);
		await sendTcp(hosts[0], hosts[1], "10.9.0.2", 3_000_000);
	});

	/** Rules go to the data plane's thread; an answered status says that they are there. */
	async function setRules(device: LabDevice, rules: readonly OverlayRule[] | null): Promise<void> {
		await device.call("setRules", rules);
		await device.status();
	}

	it("F1 rules let in what they name, let it be answered, and refuse the rest", async () => {
		const { hosts, b } = await pair();
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		const everyone = ["10.9.0.0/24", "fd09::/64"];
		const ping: OverlayRule = { direction: "in", addresses: everyone, protocol: "icmp" };
		await setRules(b, [{ direction: "in", addresses: everyone, protocol: "tcp", ports: [[1, 65_535]] }]);
		expect(net.ping(hosts[0], "10.9.0.2", { count: 2, expects: "none" })).toBe(0);
		expect(net.ping(hosts[1], "10.9.0.1", { count: 2, expects: "none" })).toBe(0);
		await sendTcp(hosts[0], hosts[1], "10.9.0.2", 1_000_000);
		await setRules(b, [ping]);
		expect(net.ping(hosts[0], "fd09::2", { count: 2 })).toBe(2);
		expect(net.ping(hosts[1], "10.9.0.1", { count: 2, expects: "none" })).toBe(0);
		await setRules(b, [{ ...ping, direction: "out" }]);
		expect(net.ping(hosts[1], "10.9.0.1", { count: 2 })).toBe(2);
		expect(net.ping(hosts[0], "10.9.0.2", { count: 2, expects: "none" })).toBe(0);
		await setRules(b, null);
		expect(net.ping(hosts[0], "10.9.0.2", { count: 2 })).toBe(2);
	});

	it("T6 a keepalive holds a path through a NAT that forgets after two seconds", async (context) => {
		const lacks = missingForNamespaces("nft", "sysctl");
		if (lacks !== null) context.skip(true, lacks);
		const [inside, router, outside] = [net.host("i"), net.host("r"), net.host("o")];
		net.cable(inside, ["192.168.7.2/24"], router, ["192.168.7.1/24"]);
		net.cable(router, ["10.200.0.1/24"], outside, ["10.200.0.2/24"]);
		net.ip("-n", inside, "route", "add", "default", "via", "192.168.7.1");
		net.run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1");
		net.run(
			router,
			"nft",
			"add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname va1 masquerade",
		);
		for (const timeout of ["udp_timeout", "udp_timeout_stream"])
			net.run(router, "sysctl", "-qw", `net.netfilter.nf_conntrack_${timeout}=2`);
		const [a, b] = await Promise.all([
			net.device(inside, { privateKey: keyA, dataPlane, addresses: ["10.9.0.1/24"] }),
			net.device(outside, { privateKey: keyB, dataPlane, addresses: ["10.9.0.2/24"] }),
		]);
		await b.setPeer({ publicKey: publicA, allowedIps: allowedA });
		const peer = { publicKey: publicB, allowedIps: allowedB, endpoint: { address: "10.200.0.2", port: 51820 } };
		await a.setPeer({ ...peer, keepalive: 1 });
		await b.event((event) => event === "peerChange");
		expect((await b.status()).peers[0]?.endpoint?.address).toBe("10.200.0.1");
		// Nobody speaks but the keepalive, for longer than the NAT remembers.
		const heard = (await b.status()).peers[0]?.receivedBytes ?? 0;
		net.run(outside, "ping", "-q", "-c", "4", "-i", "1", "-W", "1", "127.0.0.1");
		await expect.poll(async () => (await b.status()).peers[0]?.receivedBytes).toBeGreaterThan(heard);
		expect(net.ping(outside, "10.9.0.1")).toBe(3);
	});

	it("L4 H7 goes on under a flood of forged handshakes and junk, and its memory stays", async () => {
		const { hosts, a, b } = await pair();
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		const flood = `
			const socket = require("node:dgram").createSocket("udp4");
			let left = 40000;
			const go = () => {
				for (let each = 0; each < 50 && left > 0; each++, left--) {
					const bytes = require("node:crypto").randomBytes([148, 92, 64, 200, 1][left % 5]);
					if (left % 5 < 3) bytes.writeUInt32LE(1 + (left % 5), 0);
					else if (left % 5 === 3) bytes.writeUInt32LE(4, 0);
					socket.send(bytes, 51820, "10.200.0.2");
				}
				if (left > 0) setImmediate(go); else socket.close();
			};
			go();`;
		const before = await b.call<number>("memory");
		net.run(hosts[0], process.execPath, "-e", flood);
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		const status = await b.status();
		expect(status.counters["unknownSession"]).toBeGreaterThan(0);
		expect(status.peers[0]?.endpoint?.address).toBe("10.200.0.1");
		expect((await b.call<number>("memory")) - before).toBeLessThan(64 * 1024 ** 2);
		expect((await a.status()).counters["notAuthentic"]).toBe(0);
	});

	it("talks through a relay alone, and directly again, without losing a ping", async () => {
		const { hosts, a, b } = await pair();
		const lanes = new Set<boolean>();
		const carry = (from: LabDevice, fromKey: Uint8Array, to: LabDevice) => {
			let carried = 0;
			return setInterval(() => {
				for (const { event, args } of from.events.slice(carried)) {
					if (event !== "relay") continue;
					lanes.add(args[2] as boolean);
					void to.call("receiveRelayed", fromKey, args[1]);
				}
				carried = from.events.length;
			}, 2);
		};
		const carriers = [carry(a, publicA, b), carry(b, publicB, a)];
		try {
			await a.call("setRoute", publicB, "relay");
			await b.call("setRoute", publicA, "relay");
			await a.call("handshake", publicB);
			await a.event((event) => event === "peerChange");
			const pings = pingAside(hosts[0]);
			await a.event((event, args) => event === "relay" && args[2] === false);
			await a.call("setRoute", publicB, "both");
			await b.call("setRoute", publicA, "both");
			await a.call("setRoute", publicB, "direct");
			await b.call("setRoute", publicA, "direct");
			expect(await pings).toBe(10);
			expect([...lanes].toSorted()).toEqual([false, true]);
			expect((await b.status()).peers[0]?.endpoint?.address).toBe("10.200.0.1");
		} finally {
			for (const carrier of carriers) clearInterval(carrier);
		}
	});

	/** Ten pings while this test goes on. */
	async function pingAside(host: string): Promise<number> {
		const child = net.start(host, "ping", ["-i", "0.1", "-w", "20", "-c", "10", "10.9.0.2"], "pipe");
		let output = "";
		for await (const chunk of child.stdout!) output += String(chunk);
		return answered(output, 10);
	}

	it("passes another protocol's datagrams by the WireGuard socket, both ways", async () => {
		const { a, b } = await pair();
		const question = Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4);
		await a.call("sendDatagram", question, { address: "10.200.0.2", port: 51820 });
		const [bytes, from] = await b.event((event) => event === "datagram");
		expect(bytes).toEqual(question);
		expect(from).toEqual({ address: "10.200.0.1", port: 51820 });
	});

	it("H6 is heard again after kill -9 though its clock has not moved past its last stamp", async () => {
		const file = net.file("stamp", "tai64n-floor 4000000000 5\n");
		const { hosts, a, b } = await pair({ timestampFile: file });
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(Number(readFileSync(file, "utf8").split(" ")[1])).toBeGreaterThan(4_000_000_000);
		const gone = new Promise((resolve) => {
			a.process.once("exit", resolve);
		});
		a.process.kill("SIGKILL");
		await gone;
		// `ip netns exec` replaces itself, so the child is the device; its interface goes with it.
		await expect.poll(() => net.ip("-n", hosts[0], "-o", "link")).not.toContain("wg0");
		const again = await net.device(hosts[0], {
			privateKey: keyA,
			dataPlane,
			timestampFile: file,
			addresses: ["10.9.0.1/24", "fd09::1/64"],
		});
		await again.setPeer({ publicKey: publicB, allowedIps: allowedB, endpoint: { address: "10.200.0.2", port: 51820 } });
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		expect((await b.status()).peers[0]?.lastHandshakeAt).not.toBeNull();
		await again.stop();
		expect(readFileSync(file, "utf8")).toMatch(/^tai64n-floor 4\d{9} \d+\n$/);
	});

	it("H6 goes on where its stamps cannot be written down, says so, and writes them once they can", async () => {
		// A folder that cannot take the file's place, as a full disk refuses it: also as root.
		const file = net.file("stamp", "tai64n-floor 1 0\n");
		mkdirSync(`${file}.next`);
		const { hosts, a } = await pair({ timestampFile: file });
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		expect(await a.call("health")).toMatchObject([{ code: "overlay-stamps-unkept" }]);
		rmdirSync(`${file}.next`);
		await a.stop();
		expect(a.process.exitCode).toBe(0);
		expect(readFileSync(file, "utf8")).toMatch(/^tai64n-floor \d{10} \d+\n$/);
	});

	it("has addresses that a service can be bound to as soon as it is open", async () => {
		const { hosts, a } = await pair();
		expect(await a.call("listen", "fd09::1")).toBe("it can");
		expect(await a.call("listen", "10.9.0.1")).toBe("it can");
		// Nothing has to look whether somebody else has it: it is never tentative, however busy the kernel is.
		expect(net.ip("-n", hosts[0], "-6", "addr", "show", "dev", "wg0")).toMatch(/fd09::1\/\d+ scope global nodad/);
	});

	it("has no address but those that it was given", async () => {
		const { hosts } = await pair();
		const shown = net.ip("-n", hosts[0], "-o", "addr", "show", "dev", "wg0");
		expect(shown.match(/inet6? \S+/g)).toEqual(["inet 10.9.0.1/24", "inet6 fd09::1/64"]);
	});

	it("says so where IPv6 is turned off", async () => {
		const host = net.host("c");
		net.run(host, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1");
		await expect(
			net.device(host, { privateKey: keyA, dataPlane, addresses: ["10.9.0.1/24", "fd09::1/64"] }),
		).rejects.toThrow(/IPv6 turned off on this host/);
	});

	it("is gone with its interface, its port and its process when it is closed", async () => {
		const { hosts, a } = await pair();
		expect(net.ip("-n", hosts[0], "-o", "link")).toMatch(/wg0/);
		await a.stop();
		expect(a.process.exitCode).toBe(0);
		expect(net.ip("-n", hosts[0], "-o", "link")).not.toMatch(/wg0/);
	});

	it("whose interface somebody removes says so in health, and does not spin", async () => {
		const { hosts, a } = await pair();
		net.ip("-n", hosts[0], "link", "del", "wg0");
		await expect
			.poll(() => a.call("health"))
			.toMatchObject([{ code: "overlay-data-plane-dead", title: expect.stringMatching(/removed the interface wg0/) }]);
		await expect(a.status()).rejects.toThrow(/removed the interface wg0/);
		const usage = await a.call<{ user: number; system: number }>("cpuUsage");
		net.run(hosts[0], "ping", "-q", "-c", "5", "-i", "0.1", "127.0.0.1");
		const later = await a.call<{ user: number; system: number }>("cpuUsage");
		expect(later.user + later.system - usage.user - usage.system).toBeLessThan(200_000);
		await a.stop();
	});

	it("whose thread has died says so to whoever asks, now and later", async (context) => {
		context.skip(dataPlane !== "offload", "it has no thread of its own");
		const { a } = await pair();
		// What no type allows is the only thing known to end it.
		await a.call("removePeer", "x".repeat(32));
		await expect(a.status()).rejects.toThrow(/./);
		await expect(a.status()).rejects.toThrow(/./);
		expect(await a.call("health")).toMatchObject([{ code: "overlay-data-plane-dead" }]);
		expect(await a.event((event) => event === "unfit")).toEqual([expect.stringMatching(/^its data plane died: ./)]);
		await a.stop();
		expect(a.process.exitCode).toBe(0);
	});

	it("ends with its process's own code, however much arrives and whoever did not close it", async () => {
		const { hosts, a } = await pair();
		expect(net.ping(hosts[0], "10.9.0.2")).toBe(3);
		for (let flood = 0; flood < 4; flood++)
			net.start(hosts[1], "ping", ["-q", "-f", "-l", "100", "-s", "1200", "10.9.0.1"]);
		await expect(a.call("exit", 7)).rejects.toThrow(/process ended \(7\)$/);
	});

	it("says what is wrong: a taken name, a taken port, a bad option", async () => {
		const { hosts, a } = await pair();
		await expect(net.device(hosts[0], { privateKey: keyA, dataPlane })).rejects.toThrow(/wg0 could not be made/);
		await expect(net.device(hosts[0], { privateKey: keyA, dataPlane, interfaceName: "wg1" })).rejects.toThrow(
			/wg1 could not be made: .*(51820|EADDRINUSE)/,
		);
		await expect(a.setPeer({ publicKey: publicA, allowedIps: [] })).rejects.toThrow(/own public key/);
		await expect(a.setPeer({ publicKey: publicB, allowedIps: ["10.9.0.2/99"] })).rejects.toThrow(/no address range/);
		await expect(a.call("setMtu", publicB, 100)).rejects.toThrow(/MTU of 100/);
	});
});
