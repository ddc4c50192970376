import { SeededRandom } from "@warren/testkit";
import { encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appUla, canonicalUla, keyOf, networkHash, parseAppUla, parseKey, peerIndexOf, peerUla } from "../addresses.ts";
import { formatEndpoint, parseEndpoint } from "../endpoint.ts";
import { answerQuery, labelOf } from "../names/answer.ts";
import { allows, type Protocol } from "./access.ts";
import { entryLines } from "./json-lines.ts";
import { accessBetween, readPolicy } from "./policy.ts";
import { ProbeSealer, publicKeyOf } from "./probe.ts";
import { decodeRelayFrame, encodeRelayFrame, maxRelayFrameBytes } from "./relay-frames.ts";
import { EventReader, encodeEvent, maxEventBytes } from "./sse.ts";
import { addressBytes, decodeStun, encodeStunAnswer, encodeStunRequest, formatAddress } from "./stun.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

describe("addresses", () => {
	it("an app's address has its golden value", () => {
		expect(appUla("0191e7c2-1111-7222-8333-444455556666")).toBe("fd5a:1f02:44a5:240b:121a::1");
		expect(appUla("0191E7C2-1111-7222-8333-444455556666")).toBe("fd5a:1f02:44a5:240b:121a::1");
		for (const bad of ["", "0191e7c2", "0191e7c2-1111-7222-8333-44445555666g", "0191e7c2111172228333444455556666"])
			expect(appUla(bad), bad).toBeNull();
	});

	it("a peer's address is the original's: default network 0, index from 1", () => {
		expect(peerUla("default", 1)).toBe("fd5a:1f00:0000:0001::1");
		expect(networkHash("lab")).toBeGreaterThan(0);
		fc.assert(
			fc.property(fc.constantFrom("default", "lab", "x"), fc.integer({ min: 1, max: 65535 }), (network, index) => {
				const ula = peerUla(network, index);
				expect(peerIndexOf(network, ula)).toBe(index);
				expect(canonicalUla(ula)).toBe(ula);
				expect(canonicalUla(ula.toUpperCase())).toBe(ula);
			}),
		);
	});

	it("only the overlay's blocks are its addresses", () => {
		for (const bad of ["fd5a:1f01::1", "fd5a:1f03::1", "::1", "fd5a:1f00::1%eth0", "10.0.0.1", "fd5a:1f00::1/128", ""])
			expect(canonicalUla(bad), bad).toBeNull();
		expect(parseAppUla("fd5a:1f02:44a5:240b:121a:0:0:1")).toBe("fd5a:1f02:44a5:240b:121a::1");
		expect(parseAppUla("fd5a:1f02:44a5:240b:121a::2")).toBeNull();
	});

	it("a key has one spelling", () => {
		const key = keyOf(new SeededRandom(1).bytes(32));
		expect(parseKey(` ${key}\n`)).toBe(key);
		expect(parseKey(key.replaceAll("+", "-").replaceAll("/", "_").replace("=", ""))).toBe(key);
		for (const bad of ["", key.slice(1), `${key}A`, keyOf(new Uint8Array(32)), "ä".repeat(43)])
			expect(parseKey(bad), bad).toBeNull();
		fc.assert(
			fc.property(fc.string({ maxLength: 64 }), (text) => parseKey(text) === null || parseKey(text)?.length === 44),
		);
	});

	it("endpoints are literals that can be sent to, or nothing", () => {
		expect(parseEndpoint("[::ffff:192.0.2.1]:5")).toEqual({ address: "192.0.2.1", port: 5 });
		for (const bad of [
			"1.2.3.4",
			"1.2.3.4:0",
			"1.2.3.4:65536",
			"01.2.3.4:5",
			"[1.2.3.4]:5",
			"::1:5",
			"[fe80::1]:5",
			"255.255.255.255:5",
			"0.0.0.0:5",
			"[fd5a:1f00:0:1::1]:5",
			"[fd5a:1f02::1]:5",
			"host:5",
		])
			expect(parseEndpoint(bad), bad).toBeNull();
		fc.assert(
			fc.property(fc.string({ maxLength: 80 }), (text) => {
				const endpoint = parseEndpoint(text);
				if (endpoint !== null) expect(parseEndpoint(formatEndpoint(endpoint))).toEqual(endpoint);
			}),
		);
	});
});

describe("datagrams", () => {
	it("STUN: RFC 5769's answers are read, ours are what they say, and nothing malformed throws", () => {
		const ipv4 = Buffer.from(
			"0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
			"hex",
		);
		expect(decodeStun(ipv4)).toMatchObject({ type: "answer", mapped: { address: "192.0.2.1", port: 32853 } });
		const ipv6 = Buffer.from(
			"010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
			"hex",
		);
		expect(decodeStun(ipv6)).toMatchObject({
			type: "answer",
			mapped: { address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 },
		});
		fc.assert(
			fc.property(
				fc.uint8Array({ minLength: 12, maxLength: 12 }),
				fc.oneof(fc.ipV4(), fc.uint8Array({ minLength: 16, maxLength: 16 }).map(formatAddress)),
				fc.integer({ min: 1, max: 65535 }),
				(transaction, address, port) => {
					expect(decodeStun(encodeStunRequest(transaction))).toEqual({ type: "request", transaction });
					expect(decodeStun(encodeStunAnswer(transaction, { address, port }))).toEqual({
						type: "answer",
						transaction,
						mapped: { address, port },
					});
					expect(formatAddress(addressBytes(address))).toBe(address);
				},
			),
		);
		const random = new SeededRandom(2);
		for (const golden of [ipv4, ipv6]) {
			for (let round = 0; round < 3_000; round++) {
				const mutated = Uint8Array.from(
					golden.subarray(0, random.integer(4) === 0 ? random.integer(golden.length) : golden.length),
				);
				for (let flips = random.integer(4); flips >= 0 && mutated.length > 0; flips--)
					mutated[random.integer(mutated.length)] = random.integer(256);
				decodeStun(mutated);
			}
		}
		fc.assert(fc.property(bytes(600), (data) => decodeStun(data) === null || data.length >= 20));
	});

	it("probes: random bytes are nobody's", () => {
		const random = new SeededRandom(3);
		const sealer = new ProbeSealer(random.bytes(32), random);
		const magic = Uint8Array.of(0x77, 0x72, 0x70, 0x31);
		fc.assert(fc.property(bytes(200), (data) => sealer.open(Buffer.concat([magic, data]), () => true) === null));
		// A key of low order gives an all-zero secret: OpenSSL refuses it, and so do we.
		expect(sealer.open(Buffer.concat([magic, new Uint8Array(32), random.bytes(60)]), () => true)).toBeNull();
		expect(sealer.seal(keyOf(new Uint8Array(32)), { type: "ping", tx: "00".repeat(8) })).toBeNull();
		expect(publicKeyOf(random.bytes(32))).toHaveLength(32);
	});

	it("relay frames: at the limit, one beyond, and anything", () => {
		const key = new SeededRandom(4).bytes(32);
		expect(decodeRelayFrame(encodeRelayFrame(key, new Uint8Array(65_535)))?.datagram).toHaveLength(65_535);
		expect(decodeRelayFrame(new Uint8Array(maxRelayFrameBytes + 1))).toBeNull();
		expect(decodeRelayFrame(new Uint8Array(31))).toBeNull();
		fc.assert(fc.property(bytes(100), (data) => (decodeRelayFrame(data) === null) === data.length < 32));
	});

	it("DNS: whatever comes is answered or dropped, never thrown at", () => {
		const lookup = (name: string) => (name === "a" ? ["fd5a:1f00:0:1::1"] : null);
		const query = encode({
			type: "query",
			id: 7,
			flags: 0x0100,
			questions: [{ type: "AAAA", name: "A.Warren.Internal" }],
		});
		expect(answerQuery(query, lookup).kind).toBe("answer");
		expect(
			answerQuery(encode({ type: "response", id: 7, questions: [{ type: "AAAA", name: "a.warren.internal" }] }), lookup)
				.kind,
		).toBe("drop");
		expect(
			answerQuery(encode({ type: "query", id: 7, questions: [{ type: "AAAA", name: "notwarren.internal" }] }), lookup)
				.kind,
		).toBe("foreign");
		const random = new SeededRandom(5);
		for (let round = 0; round < 5_000; round++) {
			const mutated = Uint8Array.from(
				query.subarray(0, random.integer(4) === 0 ? random.integer(query.length) : query.length),
			);
			for (let flips = random.integer(4); flips >= 0 && mutated.length > 0; flips--)
				mutated[random.integer(mutated.length)] = random.integer(256);
			answerQuery(mutated, lookup);
		}
		fc.assert(
			fc.property(bytes(600), (data) => ["answer", "foreign", "drop"].includes(answerQuery(data, lookup).kind)),
		);
		expect(labelOf("Ada's Büro 2")).toBe("ada-s-bu-ro-2");
		expect(labelOf("...")).toBe("");
	});
});

describe("the stream of events", () => {
	it("is read alike in whatever pieces it comes", () => {
		const stream = Buffer.concat([
			encodeEvent("peer_added", '{"name":"Büro"}'),
			Buffer.from(": keep-alive\n\n"),
			encodeEvent("peer_removed", "{}", "e-1"),
		]);
		const whole = new EventReader().push(stream);
		expect(whole).toEqual([
			{ event: "peer_added", data: '{"name":"Büro"}', id: null },
			{ event: "peer_removed", data: "{}", id: "e-1" },
		]);
		fc.assert(
			fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 10 }), (cuts) => {
				const reader = new EventReader();
				const at = [0, ...cuts.sort((a, b) => a - b), stream.length];
				expect(at.slice(1).flatMap((end, index) => reader.push(stream.subarray(at[index], end)))).toEqual(whole);
			}),
		);
	});

	it("that never ends a line is cut at its limit", () => {
		const reader = new EventReader();
		reader.push(Buffer.alloc(maxEventBytes, 97));
		expect(() => reader.push(Buffer.from("a"))).toThrow(RangeError);
		const many = new EventReader();
		expect(() => many.push(Buffer.from(`data: ${"a".repeat(1_000)}\n`.repeat(2_000)))).toThrow(RangeError);
	});
});

describe("policies", () => {
	it("no text throws, and what is read can be asked", () => {
		fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => typeof readPolicy(text).ok === "boolean"));
		const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
		expect(readPolicy(deep).ok).toBe(false);
	});

	it("the first rule that covers a connection decides: a naive oracle agrees", () => {
		const tag = fc.constantFrom("*", "tag:a", "tag:b", "tag:a*");
		const rule = fc.record({
			action: fc.constantFrom("accept", "deny"),
			src: fc.tuple(tag),
			dst: fc.tuple(tag),
			shape: fc.constantFrom("all", "tcp", "udp-ports", "ports", "icmp", "forward"),
		});
		const extras: Record<string, object> = {
			all: {},
			tcp: { proto: "tcp" },
			"udp-ports": { proto: "udp", ports: ["10-20", 53] },
			ports: { ports: [15, "20-30"] },
			icmp: { proto: "icmp" },
			forward: { direction: "forward" },
		};
		fc.assert(
			fc.property(
				fc.array(rule, { maxLength: 6 }),
				fc.subarray(["a", "ab", "b", "c"]),
				fc.subarray(["a", "ab", "b", "c"]),
				fc.constantFrom<Protocol>("tcp", "udp", "icmp"),
				fc.constantFrom(9, 10, 15, 20, 25, 30, 31, 53),
				(rules, from, to, proto, port) => {
					const acls = rules.map(({ action, src, dst, shape }) => ({ action, src, dst, ...extras[shape] }));
					const reading = readPolicy(JSON.stringify({ acls }));
					if (!reading.ok) throw new Error(reading.message);
					const has = (selector: string, tags: readonly string[]) =>
						selector === "*" ||
						tags.some((each) => (selector === "tag:a*" ? each.startsWith("a") : `tag:${each}` === selector));
					const covers = (shape: string) =>
						shape === "all" ||
						shape === "forward" ||
						(shape === "tcp" && proto === "tcp") ||
						(shape === "icmp" && proto === "icmp") ||
						(shape === "udp-ports" && proto === "udp" && ((port >= 10 && port <= 20) || port === 53)) ||
						(shape === "ports" && proto !== "icmp" && (port === 15 || (port >= 20 && port <= 30)));
					const first = rules.find(
						({ src, dst, shape }) =>
							covers(shape) &&
							((has(src[0], from) && has(dst[0], to)) || (shape === "all" && has(src[0], to) && has(dst[0], from))),
					);
					expect(allows(accessBetween(reading.policy.rules, new Set(from), new Set(to)), proto, port)).toBe(
						first?.action === "accept",
					);
				},
			),
			{ numRuns: 2_000 },
		);
	});

	it("messages name the line, and tests of the policy block it", () => {
		const text =
			'{\n\t"acls": [\n\t\t{"action": "accept", "src": ["tag:a"], "dst": ["tag:b"], "ports": [22]},\n\n\t\t{"action": "accept", "src": ["web"], "dst": ["*"]}\n\t]\n}';
		expect(readPolicy(text)).toMatchObject({ ok: false, message: expect.stringContaining("line 5") });
		expect(entryLines(text, "acls")).toEqual([3, 5]);
		const tested = (tests: object[]) =>
			readPolicy(JSON.stringify({ acls: [{ action: "accept", src: ["tag:a"], dst: ["tag:b"], ports: [22] }], tests }));
		expect(tested([{ src: "tag:a", accept: ["tag:b:22"], deny: ["tag:b:23", "tag:c"] }]).ok).toBe(true);
		expect(tested([{ src: "tag:b", accept: ["tag:a:22"] }])).toMatchObject({
			ok: false,
			code: "policy_test_failed",
			message: expect.stringContaining("tag:b must reach tag:a:22"),
		});
		expect(
			readPolicy(JSON.stringify({ acls: [{ action: "accept", src: ["*"], dst: ["*"], ports: ["1-65536"] }] })).ok,
		).toBe(false);
		expect(
			readPolicy(
				JSON.stringify({ acls: Array.from({ length: 10_001 }, () => ({ action: "accept", src: ["*"], dst: ["*"] })) }),
			).ok,
		).toBe(false);
	});
});
