import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodePrimitives as p } from "./crypto/node-primitives.ts";
import { boringtun, missingForNamespaces, NetworkLab, wireguardGo } from "./network-lab.testing.ts";

const missing = missingForNamespaces("wg");
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

const others: readonly (readonly [string, string | null])[] = [
	["wireguard-go", wireguardGo()],
	["boringtun-cli", boringtun()],
];

/** Against other implementations, in network namespaces of this test's own. */
describe.each(others)("interop with %s", (name, program) => {
	describe.each(["offload", "portable"] as const)("on the %s data plane", (dataPlane) => {
		let lab: NetworkLab | undefined;
		const own = Uint8Array.from(randomBytes(32));
		const its = Uint8Array.from(randomBytes(32));
		const preshared = Uint8Array.from(randomBytes(32));
		const interfaceName = `wt${process.pid % 100_000}${dataPlane[0]}`;

		beforeEach((context) => {
			if (missing !== null) context.skip(true, missing);
			context.skip(
				program === null,
				`${name} is not installed${name === "boringtun-cli" ? " (Debian has no package of it)" : ""}`,
			);
			lab = new NetworkLab();
		});
		afterEach(async () => {
			await lab?.close();
			lab = undefined;
		});

		it("loses nothing over new sessions, whoever asks for them", { timeout: 200_000 }, async (context) => {
			context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "sessions last two minutes; WARREN_LONG_TESTS=1 runs it");
			const net = lab as NetworkLab;
			const [a, b] = [net.host("a"), net.host("b")];
			net.cable(a, ["10.200.0.1/24"], b, ["10.200.0.2/24"]);
			const device = await net.device(a, { privateKey: own, dataPlane, addresses: ["10.9.0.1/24"] });
			await device.setPeer({
				publicKey: p.publicKey(its),
				allowedIps: ["10.9.0.2/32"],
				endpoint: { address: "10.200.0.2", port: 51820 },
			});
			const configuration = `[Interface]\nPrivateKey = ${base64(its)}\nListenPort = 51820\n[Peer]\nPublicKey = ${base64(p.publicKey(own))}\nAllowedIPs = 10.9.0.1/32\nEndpoint = 10.200.0.1:51820\n`;
			await net.other(b, program as string, interfaceName, configuration, ["10.9.0.2/24"]);
			expect(net.ping(a, "10.9.0.2")).toBe(3);
			const first = (await device.status()).peers[0]?.lastHandshakeAt ?? 0;
			const child = net.start(a, "ping", ["-q", "-i", "0.5", "-c", "280", "10.9.0.2"], "pipe");
			let output = "";
			for await (const chunk of child.stdout!) output += String(chunk);
			expect(output).toMatch(/280 packets transmitted, 280 received/);
			expect((await device.status()).peers[0]?.lastHandshakeAt).toBeGreaterThan(first + 100_000);
		});

		/** Initiations that prove their address (MAC2 is not zero) and arrive at a host. */
		const countCookies =
			"add table inet load; add counter inet load cookies; add chain inet load in { type filter hook input priority 0; }; add rule inet load in udp length 72 counter name cookies";
		const countProofs =
			"add table inet load; add counter inet load proofs; add chain inet load in { type filter hook input priority 0; }; add rule inet load in udp length 156 @th,1120,128 != 0 counter name proofs";

		it.for(["we", "they"] as const)(
			"L1 L2 under load, %s begin and prove the address",
			{ timeout: 90_000 },
			async (who, context) => {
				const lacks = missingForNamespaces("nft");
				context.skip(lacks !== null, lacks ?? "");
				const net = lab as NetworkLab;
				const [a, b] = [net.host("a"), net.host("b")];
				net.cable(a, ["10.200.0.1/24"], b, ["10.200.0.2/24"]);
				const device = await net.device(a, { privateKey: own, dataPlane, addresses: ["10.9.0.1/24"] });
				const configuration = `[Interface]\nPrivateKey = ${base64(its)}\nListenPort = 51820\n[Peer]\nPublicKey = ${base64(p.publicKey(own))}\nAllowedIPs = 10.9.0.1/32\nEndpoint = 10.200.0.1:51820\n`;
				await net.other(b, program as string, interfaceName, configuration, ["10.9.0.2/24"]);
				const [from, loaded, key, address] =
					who === "we"
						? ([a, b, p.publicKey(its), "10.200.0.2"] as const)
						: ([b, a, p.publicKey(own), "10.200.0.1"] as const);
				net.run(loaded, "nft", countProofs);
				const flood = join(import.meta.dirname, "handshake-flood-process.testing.ts");
				net.start(from, process.execPath, [flood, Buffer.from(key).toString("hex"), address, "51820"]);
				// Cookies are asked for once so many have come: nobody begins before.
				const counted = () =>
					Number(/packets (\d+)/.exec(net.run(from, "nft", "list", "counter", "inet", "load", "cookies"))?.[1]);
				net.run(from, "nft", countCookies);
				while (counted() < 100) await new Promise((resolve) => setImmediate(resolve));
				await device.setPeer({
					...{ publicKey: p.publicKey(its), allowedIps: ["10.9.0.2/32"] },
					endpoint: { address: "10.200.0.2", port: 51820 },
				});
				net.start(from, "ping", ["-i", "0.5", who === "we" ? "10.9.0.2" : "10.9.0.1"]);
				await device.event((event) => event === "peerChange");
				expect((await device.status()).peers[0]?.lastHandshakeAt).not.toBeNull();
				expect(net.run(loaded, "nft", "list", "counter", "inet", "load", "proofs")).toMatch(/packets [1-9]/);
			},
		);

		const cases = [
			{ title: "as initiator over v4", weBegin: true, over: 4, withPsk: false },
			{ title: "as initiator over v6 with a preshared key", weBegin: true, over: 6, withPsk: true },
			{ title: "as responder over v4 with a preshared key", weBegin: false, over: 4, withPsk: true },
			{ title: "as responder over v6", weBegin: false, over: 6, withPsk: false },
		] as const;

		it.each(cases)("$title", async ({ weBegin, over, withPsk }) => {
			const net = lab as NetworkLab;
			const [a, b] = [net.host("a"), net.host("b")];
			net.cable(a, ["10.200.0.1/24", "fd00:200::1/64"], b, ["10.200.0.2/24", "fd00:200::2/64"]);
			const [atA, atB] = over === 4 ? ["10.200.0.1", "10.200.0.2"] : ["[fd00:200::1]", "[fd00:200::2]"];
			const device = await net.device(a, { privateKey: own, dataPlane, addresses: ["10.9.0.1/24", "fd09::1/64"] });
			await device.setPeer({
				publicKey: p.publicKey(its),
				allowedIps: ["10.9.0.2/32", "fd09::2/128"],
				...(withPsk ? { presharedKey: preshared } : {}),
				...(weBegin ? { endpoint: { address: atB.replace(/[[\]]/g, ""), port: 51820 } } : {}),
			});
			await net.other(
				b,
				program as string,
				interfaceName,
				[
					"[Interface]",
					`PrivateKey = ${base64(its)}`,
					"ListenPort = 51820",
					"[Peer]",
					`PublicKey = ${base64(p.publicKey(own))}`,
					"AllowedIPs = 10.9.0.1/32, fd09::1/128",
					...(withPsk ? [`PresharedKey = ${base64(preshared)}`] : []),
					...(weBegin ? [] : [`Endpoint = ${atA}:51820`]),
					"",
				].join("\n"),
				["10.9.0.2/24", "fd09::2/64"],
			);
			const [begins, to4, to6] = weBegin ? [a, "10.9.0.2", "fd09::2"] : [b, "10.9.0.1", "fd09::1"];
			// The first one brings the session; boringtun loses what waits for it, also what it has to answer.
			expect(net.ping(begins, to4)).toBeGreaterThanOrEqual(name === "boringtun-cli" ? 1 : 3);
			expect(net.ping(begins, to6)).toBe(3);
			// More than one packet's worth: fragments, both ways.
			expect(net.ping(begins, to6, { bytes: 5000 })).toBe(3);
			const status = await device.status();
			expect(status.peers[0]?.lastHandshakeAt).not.toBeNull();
			expect(status.peers[0]?.receivedBytes).toBeGreaterThan(1000);
			expect(status).toMatchObject({ dataPlane, listenPort: 51820 });
			if (name === "wireguard-go") {
				// boringtun answers this with how long ago, in whole seconds.
				const shown = net.run(b, "wg", "show", interfaceName, "latest-handshakes");
				expect(Number(shown.trim().split("\t")[1])).toBeGreaterThan(0);
			}
			expect(net.ping(begins, to4, { count: 5 })).toBe(5);
		});
	});
});
