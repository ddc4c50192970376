import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCidr } from "../protocol/cidr.ts";
import { endpointOf } from "../protocol/endpoint.ts";
import { attribute, attributes, joined, message, messages, u32 } from "./netlink.ts";
import { newWireguardLink } from "./route-messages.ts";
import { getFamilyBody, readDevice, setDeviceBody, setPeerBodies } from "./wireguard-messages.ts";

const key = new Uint8Array(32).fill(0xab);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytes = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));

/** What `wg set wg0 … peer …` sent after the device's own attributes, by strace. */
const peerFromWg = [
	...["bc000880", "b8000080", "24000100", "ab".repeat(32), "24000200", "42".repeat(32)],
	...[
		"14000400",
		"0200",
		"ca6c",
		"c0000201",
		"00".repeat(8),
		"06000500",
		"19000000",
		"08000300",
		"02000000",
		"48000980",
	],
	...["1c000080", "06000100", "02000000", "08000200", "0a000000", "05000300", "08000000"],
	...["28000080", "06000100", "0a000000", "14000200", `fd5a${"00".repeat(13)}01`, "05000300", "80000000"],
].join("");

/** The kernel's answer to WG_CMD_GET_DEVICE then. */
const dumpOfKernel = [
	...[
		"00010000060006006cca00000800070000000000080001000200000008000200776730002400030041414141414141414141414141414141",
	],
	...[
		"41414141414141414141414141414141240004007a1a4e709bf085ac494aba0469b9b1eda0ab1f78b16aabb79ffeda90623e8522e8000880",
	],
	...[
		"e400008024000100abababababababababababababababababababababababababababababababab24000200424242424242424242424242",
	],
	...[
		"4242424242424242424242424242424242424242140006000000000000000000000000000000000006000500190000000c00080000000000",
	],
	...[
		"000000000c000700000000000000000008000a0001000000140004000200ca6cc00002010000000000000000480009801c00008005000300",
	],
	...[
		"080000000600010002000000080002000a000000280000800500030080000000060001000a00000014000200fd5a00000000000000000000",
	],
	"00000001",
].join("");

describe("netlink messages to the kernel's WireGuard", () => {
	it("ask for the family as every program does", () => {
		expect(hex(message(0x10, 0x5, 1, getFamilyBody("wireguard")))).toBe(
			"24000000" + "1000" + "0500" + "01000000" + "00000000" + "03010000" + "0e000200" + "776972656775617264000000",
		);
	});

	it("make a link of the kind wireguard", () => {
		expect(hex(newWireguardLink("wg0", 1420))).toBe(
			"00".repeat(16) +
				"08000300" +
				"77673000" +
				"08000400" +
				"8c050000" +
				"14001280" +
				"0d000100" +
				"776972656775617264000000",
		);
	});

	it("describe a peer whole, byte for byte as wg does", () => {
		const [body, ...more] = setPeerBodies("wg0", {
			publicKey: key,
			presharedKey: new Uint8Array(32).fill(0x42),
			endpoint: endpointOf("192.0.2.1", 51820)!,
			keepalive: 25,
			allowedIps: [parseCidr("10.0.0.0/8")!, parseCidr("fd5a::1")!],
		});
		expect(more).toEqual([]);
		expect(hex(body!)).toBe(`01010000${"0800020077673000"}${peerFromWg}`);
		// wg says it of the device in the same message.
		expect(hex(setDeviceBody("wg0", new Uint8Array(32).fill(0x41), 51820))).toBe(
			`010100000800020077673000${"24000300"}${"41".repeat(32)}${"060006006cca0000"}`,
		);
	});

	it("are read as a kernel (Linux 6.1) wrote them", () => {
		expect(readDevice([bytes(dumpOfKernel)])).toEqual({
			listenPort: 51820,
			publicKey: Uint8Array.from(Buffer.from("ehpOcJvwhaxJSroEabmx7aCrH3ixaqu3n/7akGI+hSI=", "base64")),
			peers: [
				{
					publicKey: key,
					endpoint: { address: "192.0.2.1", port: 51820 },
					allowedIps: ["10.0.0.0/8", "fd5a::1/128"],
					...{ lastHandshakeAt: null, receivedBytes: 0, sentBytes: 0 },
				},
			],
		});
	});

	it("split a peer's addresses before an attribute is full, and only the first message replaces", () => {
		const allowedIps = Array.from({ length: 2001 }, (_, at) => parseCidr(`fd5a::${at.toString(16)}`)!);
		const bodies = setPeerBodies("wg0", { publicKey: key, allowedIps });
		expect(bodies.length).toBe(3);
		const flags = bodies.map((body) => hex(body).slice(hex(body).indexOf("08000300")).slice(8, 16));
		expect(flags).toEqual(["02000000", "04000000", "04000000"]);
		const read = readDevice(bodies);
		expect(read.peers.length).toBe(1);
		expect(read.peers[0]?.allowedIps.length).toBe(2001);
	});

	it("are read back: a peer that goes on in the next message is one peer", () => {
		const peer = (allowed: Uint8Array[], rest: Uint8Array[] = []) =>
			joined([bytes("00010000"), attribute(8, [attribute(0, [attribute(1, key), ...rest, attribute(9, allowed)])])]);
		const address = (last: number) =>
			attribute(0, [
				attribute(1, bytes("0200")),
				attribute(2, bytes(`0a0000${last.toString(16).padStart(2, "0")}`)),
				attribute(3, bytes("20")),
			]);
		const state = readDevice([
			joined([bytes("00010000"), attribute(4, key), attribute(6, bytes("6cca"))]),
			peer(
				[address(1)],
				[
					attribute(4, bytes("0a00ca6c00000000fd000200000000000000000000000002 00000000")),
					attribute(6, bytes("15cd5b0700000000 0065cd1d00000000")),
					attribute(7, bytes("e803000000000000")),
					attribute(8, bytes("d007000000000000")),
				],
			),
			peer([address(2)]),
		]);
		expect(state).toEqual({
			listenPort: 51820,
			publicKey: key,
			peers: [
				{
					publicKey: key,
					endpoint: { address: "fd00:200::2", port: 51820 },
					allowedIps: ["10.0.0.1/32", "10.0.0.2/32"],
					lastHandshakeAt: 123_456_789_500,
					receivedBytes: 1000,
					sentBytes: 2000,
				},
			],
		});
	});

	it("that are cut or scrambled are read as far as they are whole, and never thrown at", () => {
		const whole = message(
			0x1c,
			2,
			7,
			setPeerBodies("wg0", { publicKey: key, allowedIps: [parseCidr("10.0.0.0/8")!] })[0]!,
		);
		fc.assert(
			fc.property(
				fc.nat(whole.length),
				fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }),
				(cut, changes) => {
					const mutated = whole.slice(0, cut);
					for (const [at, value] of changes) if (at < cut) mutated[at] = value;
					for (const each of messages(mutated)) readDevice([each.body]);
					for (const { value } of attributes(mutated)) expect(value.length).toBeLessThanOrEqual(mutated.length);
				},
			),
		);
	});

	it("are refused before they are sent when a value is longer than an attribute can say", () => {
		expect(attribute(1, new Uint8Array(0xffff - 4)).length).toBe(0x1_0000);
		expect(() => attribute(1, new Uint8Array(0xffff - 3))).toThrow(RangeError);
		expect(attribute(1, u32(1))).toEqual(bytes("0800010001000000"));
	});
});
