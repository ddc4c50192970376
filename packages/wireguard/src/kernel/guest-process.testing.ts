import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "@warren/kernel";
import { nodePrimitives as p } from "../crypto/node-primitives.ts";
import { moveAddress, moveInterface, moveNarrowAddress } from "../moves.testing.ts";
import { type LabDevice, NetworkLab } from "../network-lab.testing.ts";

/**
 * Run inside a machine whose kernel has WireGuard: scenes of the kernel's data plane with itself and with the offload
 * one, each in namespaces of its own. Writes a line `scene: {title, fault}` for each.
 */
const keys = { a: Uint8Array.from(randomBytes(32)), b: Uint8Array.from(randomBytes(32)) };
const publicKeys = { a: p.publicKey(keys.a), b: p.publicKey(keys.b) };
type Plane = "kernel" | "offload" | "auto";

interface Pair {
	readonly net: NetworkLab;
	readonly hosts: readonly [string, string];
	readonly a: LabDevice;
	readonly b: LabDevice;
}

async function pair(
	net: NetworkLab,
	planeA: Plane,
	planeB: Plane,
	{ psk = false, knows = "a", timestampFile = null as string | null } = {},
): Promise<Pair> {
	const hosts = [net.host("a"), net.host("b")] as const;
	net.cable(hosts[0], ["10.200.0.1/24", "fd00:200::1/64"], hosts[1], ["10.200.0.2/24", "fd00:200::2/64"]);
	const [a, b] = await Promise.all([
		net.device(hosts[0], {
			...{ privateKey: keys.a, dataPlane: planeA, timestampFile },
			addresses: ["10.9.0.1/24", "fd09::1/64"],
		}),
		net.device(hosts[1], { privateKey: keys.b, dataPlane: planeB, addresses: ["10.9.0.2/24", "fd09::2/64"] }),
	]);
	const secret = psk ? { presharedKey: new Uint8Array(32).fill(7) } : {};
	await a.setPeer({
		...{ publicKey: publicKeys.b, allowedIps: ["10.9.0.2/32", "fd09::2/128"], ...secret },
		...(knows === "a" ? { endpoint: { address: "10.200.0.2", port: 51820 } } : {}),
	});
	await b.setPeer({
		...{ publicKey: publicKeys.a, allowedIps: ["10.9.0.1/32", "fd09::1/128"], ...secret },
		...(knows === "b" ? { endpoint: { address: "fd00:200::1", port: 51820 } } : {}),
	});
	return { net, hosts, a, b };
}

function same(found: unknown, wanted: unknown, what: string): void {
	if (JSON.stringify(found) !== JSON.stringify(wanted))
		throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
}

/** Carries what either device hands to the relay to the other one. */
function relayBetween({ a, b }: Pair): void {
	const carry = (from: LabDevice, to: LabDevice, fromKey: Uint8Array) => {
		let taken = 0;
		from.follow(() => {
			for (; taken < from.events.length; taken++) {
				const { event, args } = from.events[taken]!;
				if (event === "relay") void to.call("receiveRelayed", fromKey, args[1]);
			}
		});
	};
	carry(a, b, publicKeys.a);
	carry(b, a, publicKeys.b);
}

/** Sets this machine's clock, which all namespaces share. */
function setClock(byHours: number): void {
	execFileSync("date", ["-s", `@${Math.floor(Date.now() / 1000) + byHours * 3600}`], { stdio: "ignore" });
}

/** Asks for handshakes, of which one in 5 s is begun, until `a` has had another one. */
async function shakesHandsAgain({ net, hosts, a }: Pair, to: string): Promise<boolean> {
	const last = async () => (await a.status()).peers[0]?.lastHandshakeAt;
	const before = await last();
	for (let turn = 0; turn < 30; turn++) {
		await a.call("handshake", publicKeys.b);
		same(net.ping(hosts[0], to), 3, "pings while hands are shaken");
		if ((await last()) !== before) return true;
	}
	return false;
}

/** Of a process that was killed, started again. */
async function startAgain({ net, hosts, a }: Pair, dataPlane: Plane, timestampFile: string): Promise<LabDevice> {
	const gone = new Promise((resolve) => a.process.once("exit", resolve));
	a.process.kill("SIGKILL");
	await gone;
	const again = await net.device(hosts[0], {
		...{ privateKey: keys.a, dataPlane, timestampFile },
		addresses: ["10.9.0.1/24"],
	});
	await again.setPeer({
		...{ publicKey: publicKeys.b, allowedIps: ["10.9.0.2/32"] },
		endpoint: { address: "10.200.0.2", port: 51820 },
	});
	return again;
}

const turn = (at: number) => ({ owners: [at], answered: 5, by: [at] });

const exchanges: readonly (readonly [string, Plane, Plane, object])[] = [
	["kernel asks offload, over v4", "kernel", "offload", {}],
	["offload asks kernel, over v6, with a preshared key", "kernel", "offload", { psk: true, knows: "b" }],
	["kernel asks kernel, chosen by auto", "auto", "auto", {}],
];

const scenes: Record<string, (net: NetworkLab) => Promise<void>> = {
	...Object.fromEntries(
		exchanges.map(([title, planeA, planeB, options]) => [
			title,
			async (net: NetworkLab) => {
				const { hosts, a } = await pair(net, planeA, planeB, options);
				const begins = "knows" in options ? 1 : 0;
				const [v4, v6] = begins === 0 ? ["10.9.0.2", "fd09::2"] : ["10.9.0.1", "fd09::1"];
				same(net.ping(hosts[begins], v4), 3, "pings by v4");
				same(net.ping(hosts[begins], v6), 3, "pings by v6");
				same(
					net.ping(hosts[1 - begins]!, begins === 0 ? "fd09::1" : "fd09::2", { bytes: 5000 }),
					3,
					"large pings back",
				);
				const status = await a.status();
				same(status.dataPlane, "kernel", "data plane");
				same(status.fallback, null, "fallback");
				same(status.listenPort, 51820, "port");
				same(status.peers[0]?.allowedIps.toSorted(), ["10.9.0.2/32", "fd09::2/128"], "allowed IPs");
				same(
					status.peers[0]?.endpoint,
					{ address: begins === 0 ? "10.200.0.2" : "fd00:200::2", port: 51820 },
					"endpoint",
				);
				same(Math.abs((status.peers[0]?.lastHandshakeAt ?? 0) - Date.now()) < 120_000, true, "handshake's time");
				same((status.peers[0]?.receivedBytes ?? 0) > 5000 && (status.peers[0]?.sentBytes ?? 0) > 5000, true, "bytes");
			},
		]),
	),

	"other datagrams leave from and reach the WireGuard port, by v4 and v6": async (net) => {
		const { a, b } = await pair(net, "kernel", "kernel");
		for (const [from, to, address, own] of [
			[a, b, "10.200.0.2", "10.200.0.1"],
			[b, a, "fd00:200::1", "fd00:200::2"],
		] as const) {
			const bytes = Uint8Array.from(randomBytes(101));
			bytes[0] = 0x57;
			await from.call("sendDatagram", bytes, { address, port: 51820 });
			const [got, source] = await to.event(
				(event, args) => event === "datagram" && Buffer.compare(args[0] as Uint8Array, bytes) === 0,
			);
			same((got as Uint8Array).length, 101, "bytes");
			same(source, { address: own, port: 51820 }, "source");
		}
	},

	"the relay carries a session when there is no other way, and a direct path takes it over": async (net) => {
		const two = await pair(net, "kernel", "kernel");
		const { hosts, a, b } = two;
		relayBetween(two);
		await a.call("setRoute", publicKeys.b, "relay");
		await b.call("setRoute", publicKeys.a, "relay");
		net.ip("-n", hosts[0], "link", "set", "va0", "down");
		same(await net.pingAside(hosts[0], "10.9.0.2", 5), 5, "pings by the relay");
		same((await a.status()).peers[0]?.route, "relay", "route");
		same((await b.status()).peers[0]?.endpoint, null, "an endpoint that only the relay showed");
		net.ip("-n", hosts[0], "link", "set", "va0", "up");
		net.ip("-n", hosts[0], "addr", "replace", "fd00:200::1/64", "dev", "va0", "nodad");
		const running = net.pingAside(hosts[0], "10.9.0.2", 60);
		await a.call("setEndpoint", publicKeys.b, { address: "10.200.0.2", port: 51820 });
		await b.call("setEndpoint", publicKeys.a, { address: "10.200.0.1", port: 51820 });
		await a.call("setRoute", publicKeys.b, "both");
		await b.call("setRoute", publicKeys.a, "both");
		await a.call("setRoute", publicKeys.b, "direct");
		await b.call("setRoute", publicKeys.a, "direct");
		const before = a.events.filter(({ event }) => event === "relay").length;
		same(await running, 60, "pings while the path changes");
		const after = a.events.filter(({ event }) => event === "relay").length;
		same(after - before < 15, true, `the relay rests (${before} then ${after})`);
		same((await b.status()).peers[0]?.endpoint, { address: "10.200.0.1", port: 51820 }, "endpoint");
	},

	"a relayed datagram does not move a direct path": async (net) => {
		const two = await pair(net, "kernel", "kernel");
		const { hosts, a, b } = two;
		relayBetween(two);
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings");
		// It has seen where the other is: what the relay brings before that is all it knows.
		await b.event((event) => event === "peerChange");
		await a.call("setRoute", publicKeys.b, "relay");
		same(await net.pingAside(hosts[0], "10.9.0.2", 5), 5, "pings one way by the relay, back directly");
		same((await b.status()).peers[0]?.endpoint, { address: "10.200.0.1", port: 51820 }, "endpoint");
		same(
			a.events.some(({ event }) => event === "relay"),
			true,
			"the relay was used",
		);
		same(
			b.events.some(({ event, args }) => event === "relay" && (args[1] as Uint8Array)[0] === 4),
			false,
			"the way back was direct",
		);
	},

	"rules say who may begin, and new rules forget what was begun": async (net) => {
		const { hosts, a } = await pair(net, "kernel", "kernel");
		same(net.ping(hosts[0], "fd09::2"), 3, "pings without rules");
		await a.call("setRules", [{ direction: "out", addresses: ["fd09::2/128"], protocol: "icmp" }]);
		await a.status();
		same(net.ping(hosts[1], "fd09::1", { expects: "none" }), 0, "pings in");
		same(net.ping(hosts[0], "fd09::2"), 3, "pings out");
		same(net.ping(hosts[0], "10.9.0.2", { expects: "none" }), 0, "pings to another address");
		await a.call("setRules", []);
		await a.status();
		same(net.ping(hosts[0], "fd09::2", { expects: "none" }), 0, "pings without leave");
		await a.call("setRules", null);
		await a.status();
		same(net.ping(hosts[1], "fd09::1"), 3, "pings in without rules");
	},

	"a peer that roams is followed, and told of": async (net) => {
		const { hosts, a } = await pair(net, "kernel", "kernel");
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings");
		net.ip("-n", hosts[1], "addr", "del", "10.200.0.2/24", "dev", "vb0");
		net.ip("-n", hosts[1], "addr", "add", "10.200.0.77/24", "dev", "vb0");
		const seen = a.events.length;
		same(net.ping(hosts[1], "10.9.0.1"), 3, "pings from elsewhere");
		await a.event((event, _args, at) => event === "peerChange" && at >= seen);
		const { peers } = await a.status();
		same(peers[0]?.endpoint, { address: "10.200.0.77", port: 51820 }, "endpoint");
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings to where it is");
	},

	"a peer's own MTU binds packets to it alone": async (net) => {
		const { hosts, a } = await pair(net, "kernel", "kernel");
		same(net.ping(hosts[0], "fd09::2", { bytes: 1372 }), 3, "pings of 1420");
		await a.call("setMtu", publicKeys.b, 1280);
		same(/mtu 1280/.test(net.ip("-n", hosts[0], "-6", "route", "get", "fd09::2")), true, "route's MTU");
		same(net.ping(hosts[0], "fd09::2", { bytes: 1372, pathMtu: true, expects: "none" }), 0, "pings of 1420 uncut");
		same(net.ping(hosts[0], "fd09::2", { bytes: 1232, pathMtu: true }), 3, "pings of 1280");
		await a.call("setMtu", publicKeys.b, 1420);
		same(net.ping(hosts[0], "fd09::2", { bytes: 1372, pathMtu: true }), 3, "pings of 1420 again");
		await a.call("setMtu", publicKeys.b, 1280);
		await a.call("removePeer", publicKeys.b);
		same(/metric 512/.test(net.ip("-n", hosts[0], "-6", "route")), false, "a route that stays");
	},

	"a handshake is begun when asked for": async (net) => {
		const { a } = await pair(net, "kernel", "kernel");
		await a.call("handshake", publicKeys.b);
		await a.event((event) => event === "peerChange");
		same(((await a.status()).peers[0]?.lastHandshakeAt ?? 0) > 0, true, "a handshake");
	},

	"what a killed process left is taken over, and gone after a clean end": async (net) => {
		const { hosts, a } = await pair(net, "kernel", "kernel");
		await a.call("setRules", []);
		await a.status();
		const gone = new Promise((resolve) => a.process.once("exit", resolve));
		// `ip netns exec` becomes the program itself.
		a.process.kill("SIGKILL");
		await gone;
		same(/wireguard/.test(net.ip("-n", hosts[0], "-d", "link", "show", "wg0")), true, "what it left");
		for (const dataPlane of ["kernel", "offload"] as const) {
			const again = await net.device(hosts[0], { privateKey: keys.a, dataPlane, addresses: ["10.9.0.1/24"] });
			await again.setPeer({
				publicKey: publicKeys.b,
				allowedIps: ["10.9.0.2/32"],
				endpoint: { address: "10.200.0.2", port: 51820 },
			});
			same(net.ping(hosts[0], "10.9.0.2"), 3, `pings of its successor (${dataPlane})`);
			if (dataPlane === "kernel") {
				const killed = new Promise((resolve) => again.process.once("exit", resolve));
				again.process.kill("SIGKILL");
				await killed;
			} else await again.stop();
		}
		const last = await net.device(hosts[0], { privateKey: keys.a, dataPlane: "auto" });
		same((await last.status()).dataPlane, "kernel", "data plane");
		await last.stop();
		same(net.ip("-n", hosts[0], "link").includes("wg0"), false, "the interface");
		same(net.run(hosts[0], "nft", "list", "ruleset"), "", "rules");
	},

	"a clock that is set hours ahead and back: sessions go on, others begin, also after kill -9 (offload)": async (
		net,
	) => {
		const timestampFile = join(mkdtempSync(join(tmpdir(), "stamps-")), "stamps");
		const two = await pair(net, "offload", "offload", { timestampFile });
		const { hosts, a } = two;
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings");
		for (const hours of [3, -7]) {
			setClock(hours);
			same(net.ping(hosts[0], "10.9.0.2"), 3, `pings after ${hours} h`);
			same(await shakesHandsAgain(two, "10.9.0.2"), true, `a handshake after ${hours} h`);
			const at = (await a.status()).peers[0]?.lastHandshakeAt ?? 0;
			same(Math.abs(at - Date.now()) < 120_000, true, "its time, by the clock as it is now");
		}
		await startAgain(two, "offload", timestampFile);
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings of its successor, four hours before its last stamp");
	},

	"a clock that is set hours ahead and back: sessions go on, and whoever starts then stamps on (kernel)": async (
		net,
	) => {
		const timestampFile = join(mkdtempSync(join(tmpdir(), "stamps-")), "stamps");
		const two = await pair(net, "kernel", "kernel", { timestampFile });
		const { hosts } = two;
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings");
		setClock(3);
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings after 3 h, by the same session");
		const successor = await startAgain(two, "kernel", timestampFile);
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings of its successor, by a new one");
		const written = () => Number(readFileSync(timestampFile, "utf8").split(" ")[1]);
		const deadline = Date.now() + 60_000;
		while (written() * 1000 < Date.now()) {
			if (Date.now() > deadline) throw new Error("its stamps were not written down");
			await successor.status();
		}
		setClock(-7);
		same(net.ping(hosts[0], "10.9.0.2"), 3, "pings after 7 h back, by the same session");
		const [reason] = await successor.event((event) => event === "unfit");
		same(/set back by 25[12]\d\d s/.test(String(reason)), true, `that it asks to be opened anew (${String(reason)})`);
		const last = await startAgain({ ...two, a: successor }, "auto", timestampFile);
		const { dataPlane, fallback } = await last.status();
		same(dataPlane, "offload", "data plane of the next one");
		same(/clock is behind the stamps/.test(fallback ?? ""), true, `why (${fallback})`);
		same(net.ping(hosts[0], "10.9.0.2"), 3, "its pings, four hours before the last stamp");
	},

	"a process that ended while it opened the plane is remembered, until the plane is asked for and opens": async (
		net,
	) => {
		const host = net.host("c");
		const file = join(mkdtempSync(join(tmpdir(), "opening-")), "device.opening");
		const open = (dataPlane: Plane, killed = false) =>
			net.device(host, {
				...{ privateKey: keys.a, dataPlane, openingNote: { file, software: "warren 1" } },
				...(killed ? { refuses: "netlink-kills" as const } : {}),
			});
		const planeOf = async (device: LabDevice) => {
			const { dataPlane } = await device.status();
			await device.stop();
			return dataPlane;
		};
		const end = await open("auto", true).catch(messageOf);
		same(/SIGKILL/.test(String(end)), true, `its end (${String(end)})`);
		same(await planeOf(await open("auto")), "offload", "data plane of the next one");
		same(existsSync(file), true, "the note");
		same(await planeOf(await open("kernel")), "kernel", "data plane that is asked for");
		same(existsSync(file), false, "the note, once it has opened");
		same(await planeOf(await open("auto")), "kernel", "data plane of the one after");
	},

	"an address that moves to another peer while it is talked to takes what follows along": async (net) => {
		const { turns, flow } = await moveAddress(net, "kernel");
		same(turns, [turn(1), turn(0), turn(1)], "whose it was, and who answered");
		same(flow >= 58, true, `pings all the while (${flow} of 60)`);
	},

	"an address that moves keeps the MTU of the peer that it moved to": async (net) => {
		same((await moveNarrowAddress(net, "kernel")).route.includes("mtu 1300"), true, "the route's MTU");
	},

	"an interface that is moved to another namespace goes on there, by the cable where it was made": async (net) => {
		same(await moveInterface(net, "kernel"), [3, 3, 3, 0], "pings");
	},

	"somebody else's interface is left alone, and its removal is told": async (net) => {
		const host = net.host("c");
		net.ip("-n", host, "link", "add", "wg0", "type", "wireguard");
		const refusal = await net.device(host, { privateKey: keys.a, dataPlane: "kernel" }).catch((fault: Error) => fault);
		same(refusal instanceof Error && /EEXIST/.test(refusal.message), true, `refusal (${messageOf(refusal)})`);
		const device = await net.device(host, { privateKey: keys.a, dataPlane: "kernel", interfaceName: "wg1" });
		net.ip("-n", host, "link", "del", "wg1");
		const isTold = async () =>
			((await device.call("health")) as { code: string }[]).some(({ code }) => code === "overlay-data-plane-dead");
		const deadline = Date.now() + 60_000;
		while (!(await isTold())) if (Date.now() > deadline) throw new Error("nobody was told");
	},
};

let failed = 0;
const only = process.argv[2];
for (const [title, scene] of Object.entries(scenes)) {
	if (only !== undefined && !title.includes(only)) continue;
	const net = new NetworkLab();
	let fault: string | null = null;
	try {
		await scene(net);
	} catch (failure) {
		fault = messageOf(failure);
		failed += 1;
	}
	await net.close();
	writeSync(1, `scene: ${JSON.stringify({ title, fault })}\n`);
}
process.exitCode = failed === 0 ? 0 : 1;
