import { spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import type { OverlayRule } from "@warren/kernel";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { missingForNamespaces, NetworkLab } from "../network-lab.testing.ts";
import { packetFilter } from "./packet-filter.ts";

const missing = missingForNamespaces("nft");
const addresses = ["10.200.0.1/32", "fd00:200::1/128"];

describe("rules for the system's packet filter", () => {
	let net: NetworkLab | undefined;
	afterEach(async () => {
		await net?.close();
		net = undefined;
	});

	function load(host: string, interfaceName: string, rules: readonly OverlayRule[] | null, ...options: string[]): void {
		const input = packetFilter(interfaceName, rules);
		const done = spawnSync("ip", ["netns", "exec", host, "nft", ...options, "-f", "-"], { input, encoding: "utf8" });
		if (done.status !== 0) throw new Error(`${done.stderr}\n${input}`);
	}

	it("leave out what another range holds, and join ports that touch", () => {
		const text = packetFilter("wg0", [
			{
				...{ direction: "in", addresses: ["fd5a:1::/32", "fd5a:1:2::3/128", "fd5a::9"], protocol: "tcp" },
				ports: [
					[80, 90],
					[22, 22],
					[91, 99],
					[85, 86],
				],
			},
		]);
		expect(text.split("\n").filter((line) => line.includes("th dport") && line.includes("goto begin_in"))).toEqual([
			expect.stringContaining("@flows4"),
			expect.stringContaining("@flows6"),
			"ip6 saddr fd5a:1::/32 meta l4proto 6 th dport 22 goto begin_in",
			"ip6 saddr fd5a:1::/32 meta l4proto 6 th dport 80-99 goto begin_in",
			"ip6 saddr fd5a::9/128 meta l4proto 6 th dport 22 goto begin_in",
			"ip6 saddr fd5a::9/128 meta l4proto 6 th dport 80-99 goto begin_in",
		]);
		const many = Array.from({ length: 9 }, (_, at) => `fd5a::${at + 1}/128`);
		const ports: [number, number][] = [
			[22, 22],
			[80, 90],
		];
		expect(packetFilter("wg0", [{ direction: "out", addresses: many, protocol: "udp", ports }])).toContain(
			`ip6 daddr { ${many.join(", ")} } meta l4proto 17 th dport { 22, 80-90 } goto begin_out`,
		);
		expect(packetFilter("wg0", null)).toBe("table inet warren-wg0\ndelete table inet warren-wg0\n");
	});

	it("are taken by nft, whatever they are", (context) => {
		context.skip(missing !== null, missing ?? "");
		net = new NetworkLab();
		const host = net.host("a");
		const port = fc.integer({ min: 0, max: 65_535 });
		const range = fc.tuple(port, port).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]);
		const cidr = fc.oneof(
			fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, length]) => `${address}/${length}`),
			fc.tuple(fc.ipV6(), fc.nat(128)).map(([address, length]) => `${address}/${length}`),
		);
		const shape = fc.constantFrom({}, { protocol: "tcp" }, { protocol: "udp" }, { protocol: "icmp" } as const);
		const rule = fc.tuple(
			fc.constantFrom("in", "out"),
			fc.array(cidr, { maxLength: 6 }),
			shape,
			fc.option(fc.array(range, { maxLength: 5 })),
		);
		const seed = Math.floor(Math.random() * 2 ** 31);
		fc.assert(
			fc.property(fc.array(rule, { maxLength: 8 }), (drawn) => {
				const rules = drawn.map(([direction, addresses, protocol, ports]) => ({
					...{ direction, addresses, ...protocol },
					...(ports === null || ("protocol" in protocol && protocol.protocol === "icmp") ? {} : { ports }),
				})) as OverlayRule[];
				load(host, "wg0", rules, "--check");
			}),
			{ numRuns: 40, seed },
		);
	});

	it("are no set each: thousands of them cost the host no more than their number", () => {
		const rules = Array.from({ length: 8_000 }, (_, at): OverlayRule => {
			const group = (at + 1).toString(16);
			return {
				...{ direction: "in", addresses: [`fd5a:1f00:0:${group}::1/128`, `fd5a:1f02:0:${group}::1/128`] },
				...{
					protocol: "tcp",
					ports: [
						[22, 22],
						[1_000 + at, 1_000 + at],
					],
				},
			};
		});
		const text = packetFilter("wg0", rules);
		expect(text.match(/saddr fd5a:\S+ meta l4proto 6 th dport \d+ goto begin_in/g)).toHaveLength(32_000);
		expect(text.match(/dport \{/g)).toBeNull();
	});

	it("bind packets as the engine's own do: who begins, ports, answers, fragments", async (context) => {
		context.skip(missing !== null, missing ?? "");
		net = new NetworkLab();
		const [a, b] = [net.host("a"), net.host("b")];
		net.cable(a, ["10.200.0.1/24", "fd00:200::1/64"], b, ["10.200.0.2/24", "fd00:200::2/64"]);
		// v6 needs its neighbours first, which an interface of WireGuard has not.
		expect([net.ping(a, "10.200.0.2"), net.ping(a, "fd00:200::2")]).toEqual([3, 3]);
		const lab = net;
		const quiet = { count: 1, expects: "none" } as const;
		const pings = (from: string, to: string, how: Parameters<NetworkLab["ping"]>[2] = {}) =>
			lab.ping(from, to, { count: 2, ...how });

		load(b, "vb0", []);
		expect([pings(a, "10.200.0.2", quiet), pings(b, "10.200.0.1", quiet)]).toEqual([0, 0]);
		load(b, "vb0", [{ direction: "in", addresses, protocol: "icmp" }, neighbours("in"), neighbours("out")]);
		expect([pings(a, "10.200.0.2"), pings(a, "fd00:200::2", { bytes: 4000 })]).toEqual([2, 2]);
		expect(pings(b, "10.200.0.1", quiet)).toBe(0);
		load(b, "vb0", [{ direction: "out", addresses, protocol: "icmp" }]);
		expect([pings(b, "10.200.0.1", { bytes: 4000 }), pings(a, "10.200.0.2", quiet)]).toEqual([2, 0]);

		const server = net.start(b, process.execPath, ["-e", servers], "pipe");
		const [tcp = "", udp = ""] = (
			(await createInterface({ input: server.stdout! })[Symbol.asyncIterator]().next()).value as string
		).split(" ");
		const ask = (from: string, ...args: string[]) => lab.run(from, process.execPath, "-e", client, ...args).trim();
		expect(ask(a, "tcp", tcp)).toBe("nothing");
		load(b, "vb0", [
			{ direction: "in", addresses, protocol: "tcp", ports: [[Number(tcp), Number(tcp)]] },
			{ direction: "in", addresses, protocol: "udp", ports: [[Number(udp), Number(udp)]] },
		]);
		expect(ask(a, "tcp", tcp)).toBe("welcome");
		// An answer in fragments.
		expect(ask(a, "udp", udp)).toBe("4000 bytes");
		expect(pings(a, "10.200.0.2", quiet)).toBe(0);
		load(b, "vb0", [{ direction: "in", addresses, protocol: "tcp", ports: [[1, Number(tcp) - 1]] }]);
		expect(ask(a, "tcp", tcp)).toBe("nothing");
		expect(ask(a, "udp", udp)).toBe("nothing");
		load(b, "vb0", null);
		expect(ask(a, "tcp", tcp)).toBe("welcome");
		expect(net.run(b, "nft", "list", "ruleset")).toBe("");
	});
});

/** Discovery of neighbours goes to addresses that no rule of a peer names. */
function neighbours(direction: "in" | "out"): OverlayRule {
	return { direction, addresses: ["fe80::/10", "ff02::/16", "fd00:200::/64"], protocol: "icmp" };
}

const servers = `
	const tcp = require("node:net").createServer((socket) => socket.on("error", () => {}).end("welcome"));
	const udp = require("node:dgram").createSocket("udp4");
	udp.on("message", (_, from) => udp.send(Buffer.alloc(4000), from.port, from.address));
	tcp.listen(0, "10.200.0.2", () => udp.bind(0, "10.200.0.2", () => console.log(tcp.address().port, udp.address().port)));`;

/** Asks once (TCP retries by itself, UDP four times); the answer, or that none came within two seconds. */
const client = `
	const [kind, port] = process.argv.slice(1);
	const tell = (text) => { console.log(text); process.exit(); };
	setTimeout(() => tell("nothing"), 2000);
	if (kind === "tcp") require("node:net").connect(Number(port), "10.200.0.2").on("data", (data) => tell(String(data))).on("error", () => {});
	else {
		const socket = require("node:dgram").createSocket("udp4");
		socket.on("message", (message) => tell(message.length + " bytes"));
		const ask = () => socket.send("?", Number(port), "10.200.0.2");
		ask();
		setInterval(ask, 500);
	}`;
