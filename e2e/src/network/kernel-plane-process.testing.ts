import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "@warren/kernel";
import { certificateFlags, writeCertificates } from "./lab-certificates.ts";
import { type LabHost, NatLab } from "./nat-lab.ts";
import { OverlayMachine, type OverlayStatus, pathTo, RunningProcess, warren } from "./overlay-machine.ts";
import { ScriptLines } from "./script-lines.ts";

/**
 * Run inside a machine whose kernel has WireGuard: a coordinator and joiners, each a process of `warren`, on the plane
 * that `auto` takes there; then the clock, which all of them share, is set ahead and back. Writes a line
 * `scene: {title, fault}` for each scene; they follow on each other.
 */
const hourMs = 3_600_000;
/** It begins a day after the certificates were issued, so that hours back are still within them. */
const aheadMs = 24 * hourMs;
const names = ["one", "two", "old", "young"] as const;
type Name = (typeof names)[number];

const folder = mkdtempSync(join(tmpdir(), "kernel-plane-"));
const lab = new NatLab();
const hub = lab.public("hub");
const phone = lab.public("phone");
// With v4 alone: what is cut or narrowed has no way around it.
const hosts = Object.fromEntries(names.map((name) => [name, lab.public(name, ["v4"])])) as Record<Name, LabHost>;
const machines = {} as Record<Name, OverlayMachine>;

function same(found: unknown, wanted: unknown, what: string): void {
	if (JSON.stringify(found) !== JSON.stringify(wanted))
		throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
}

/** Sets the machine's clock. */
function moveClock(byMs: number): void {
	execFileSync("date", ["-s", `@${Math.floor((Date.now() + byMs) / 1000)}`], { stdio: "ignore" });
}

/** Whether a TCP port of `to` can be opened from `from`. */
async function opens(from: LabHost, to: string, port: number): Promise<string> {
	using client = new ScriptLines(
		from.through,
		`const socket = require("node:net").connect({ host: "${to}", port: ${port} });
		socket.setTimeout(8000, () => (console.log("silent"), process.exit()));
		socket.on("connect", () => (console.log("open"), process.exit()));
		socket.on("error", ({ code }) => console.log(code));`,
	);
	return await client.next();
}

const handshakeWith = (status: OverlayStatus, name: Name) =>
	status.peers.find(({ display_name }) => display_name === name)?.last_handshake_at ?? 0;

/** Both talk by a session that was begun after the clock was set, and hear from the coordinator. */
async function goOn(since: number): Promise<OverlayStatus[]> {
	const hasShaken = (name: Name) => (status: OverlayStatus) => {
		// Traffic, without which no session follows on another.
		lab.ping(hosts.one, machines.two.ula, 1);
		return (
			status.connected && handshakeWith(status, name) >= since - 2_000 && handshakeWith(status, name) < since + hourMs
		);
	};
	return [await machines.one.where(hasShaken("two"), since), await machines.two.where(hasShaken("one"), since)];
}

const says = (text: RegExp) => (status: OverlayStatus) => status.conditions.some(({ title }) => text.test(title));

const scenes: Record<string, () => Promise<void>> = {
	"auto takes the kernel's plane, and machines meet on it": async () => {
		const expiring = { old: { days: (aheadMs + 1.5 * hourMs) / (24 * hourMs) }, young: { inMs: aheadMs } };
		await writeCertificates(folder, [hub], names, expiring);
		moveClock(aheadMs);
		writeFileSync(
			join(folder, "acl.json"),
			JSON.stringify({
				acls: [
					{ action: "accept", src: ["*"], dst: ["*"], proto: "icmp", direction: "both" },
					{ action: "accept", src: ["*"], dst: ["*"], proto: "tcp", ports: [7000] },
				],
			}),
		);
		await RunningProcess.start(hub, folder, [
			...["coordinator", "--bind", "0.0.0.0:8888", "--policy-file", join(folder, "acl.json")],
			...certificateFlags(folder, "hub"),
		]);
		for (const name of names) {
			const flags = ["--coordinator", `https://${hub.v4}:8888`, ...certificateFlags(folder, name)];
			machines[name] = await OverlayMachine.join(hosts[name], join(folder, `data-${name}`), flags);
		}
		const met = await Promise.all([
			machines.one.where((status) => pathTo("two", "direct")(status) && pathTo("old", "direct")(status)),
			machines.two.where(pathTo("one", "direct")),
		]);
		same(
			met.map(({ data_plane }) => data_plane),
			["kernel", "kernel"],
			"data planes",
		);
		same(lab.isReached(hosts.one, machines.two.ula, 20), true, "pings");
		same(lab.ping(hosts.two, machines.one.ula), 100, "pings back");
	},

	"rules with ports bind in the packet path": async () => {
		using server = new ScriptLines(
			hosts.two.through,
			`const net = require("node:net");
			let open = 0;
			for (const port of [7000, 7001])
				net.createServer((socket) => socket.on("error", () => {})).listen(port, "::", () => ++open === 2 && console.log("ready"));`,
		);
		same(await server.next(), "ready", "the service");
		same(await opens(hosts.one, machines.two.ula, 7000), "open", "the port that is allowed");
		same((await opens(hosts.one, machines.two.ula, 7001)) === "open", false, "another port");
	},

	"the relay carries while there is no direct path, and gives way to it again": async () => {
		const [one, two] = [machines.one, machines.two];
		lab.cut(hosts.one, hosts.two);
		await Promise.all([one.where(pathTo("two", "relay")), two.where(pathTo("one", "relay"))]);
		same(lab.isReached(hosts.one, two.ula, 30), true, "pings by the relay");
		lab.mend();
		await Promise.all([one.where(pathTo("two", "direct")), two.where(pathTo("one", "direct"))]);
		same(lab.isReached(hosts.one, two.ula, 30), true, "pings");
	},

	"a narrow path is found out by probes, and packets are cut to it": async () => {
		lab.dropFragments();
		lab.setMtu(hosts.two, 1400);
		const mtuTo = (name: Name, { peers }: OverlayStatus) =>
			peers.find(({ display_name }) => display_name === name)?.mtu ?? 0;
		const isNarrow = (name: Name) => (status: OverlayStatus) => {
			// Traffic, without which nobody looks how wide a path is.
			lab.ping(hosts.one, machines.two.ula, 1);
			return mtuTo(name, status) < 1400 && mtuTo(name, status) >= 1280;
		};
		// Each finds out for itself, and what is answered is as long as what was asked.
		const [seen] = await Promise.all([machines.one.where(isNarrow("two")), machines.two.where(isNarrow("one"))]);
		same(mtuTo("two", seen) <= 1400 - 60, true, `the MTU (${mtuTo("two", seen)})`);
		same(lab.isReached(hosts.one, machines.two.ula, 30), true, "pings");
		lab.run(hosts.one, "ping", ["-c", "1", "-W", "10", "-s", "4000", machines.two.ula]);
	},

	"a stock client of the kernel's own reaches the others through a machine that forwards for it": async () => {
		const data = machines.one.data;
		const added = await warren(data, ["overlay", "add-device", "phone", "--data", data, "--json"], hosts.one.through);
		const { config, ula } = JSON.parse(added) as { config: string; ula: string };
		const file = join(folder, "phone.conf");
		// As wg-quick hands it on.
		writeFileSync(file, config.replace(/^(Address|DNS|MTU) = .*\n/gm, ""), { mode: 0o600 });
		lab.ip(phone, "link", "add", "ph0", "type", "wireguard");
		lab.run(phone, "wg", ["setconf", "ph0", file]);
		lab.ip(phone, "addr", "add", `${ula}/128`, "dev", "ph0");
		lab.ip(phone, "link", "set", "ph0", "mtu", "1280", "up");
		lab.ip(phone, "route", "add", "fd5a:1f00::/32", "dev", "ph0");
		same(lab.isReached(phone, machines.one.ula, 60), true, "pings of the machine that forwards");
		same(lab.isReached(phone, machines.two.ula, 60), true, "pings of another one");
		same(lab.isReached(hosts.two, ula, 60), true, "pings back");
	},

	"hours ahead: sessions live, hands are shaken, the coordinator is heard, a certificate that is over says so":
		async () => {
			moveClock(3 * hourMs);
			const since = Date.now();
			same(lab.isReached(hosts.one, machines.two.ula, 10), true, "pings at once");
			const planes = (await goOn(since)).map(({ data_plane }) => data_plane);
			same(planes, ["kernel", "kernel"], "data planes");
			await machines.old.where(says(/certificate.* ended on/), since);
			same((await machines.one.where(pathTo("two", "direct"), since)).connected, true, "the coordinator is heard");
		},

	"hours back: other planes stamp on, hands are shaken, the coordinator is heard, a certificate that is not good yet says so":
		async () => {
			moveClock(-7 * hourMs);
			const since = Date.now();
			const planes = (await goOn(since)).map(({ data_plane }) => data_plane);
			same(planes, ["offload", "offload"], "data planes");
			same(lab.isReached(hosts.one, machines.two.ula, 30), true, "pings");
			await machines.young.where(says(/certificate.* begins on/), since);
			const back = await machines.old.where((status) => status.connected, since);
			same(says(/certificate.* (ended|begins) on/)(back), false, "a certificate that is good again");
			same(lab.isReached(phone, machines.two.ula, 60), true, "pings of the stock client");
		},
};

let failed = 0;
/** Parts of titles; the first scene is the others' beginning. */
const only = process.argv[2]?.split(",") ?? [""];
for (const [title, scene] of Object.entries(scenes)) {
	if (!only.some((part) => title.includes(part))) continue;
	let fault: string | null = null;
	try {
		await scene();
	} catch (failure) {
		fault = messageOf(failure);
		failed += 1;
	}
	writeSync(1, `scene: ${JSON.stringify({ title, fault })}\n`);
}
// The machine ends with this process, and all that it started.
process.exit(failed === 0 ? 0 : 1);
