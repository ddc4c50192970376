import { describe, expect, it } from "vitest";
import { initialState } from "../protocol/noise.ts";
import { derive, type MakeTransportKey, openWide, type Primitives, sealWide } from "../protocol/primitives.ts";
import { nodePrimitives } from "./node-primitives.ts";
import { nodeTransportKeys } from "./node-transport-key.ts";
import { openOpenssl } from "./openssl.ts";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));
const show = (bytes: Uint8Array | null | undefined) => (bytes == null ? bytes : Buffer.from(bytes).toString("hex"));
const ascii = (text: string) => new TextEncoder().encode(text);

/** RFC 8439, section 2.8.2, and the XChaCha draft, appendix A.3.1, seal the same text. */
const sunscreen = ascii(
	"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
);

const providers: readonly (readonly [string, () => Primitives])[] = [
	["node:crypto", () => nodePrimitives],
	["OpenSSL in the node binary", () => openOpenssl().primitives],
];

describe.each(providers)("C1 published vectors, %s", (_name, open) => {
	const p = open();

	it("X25519: RFC 7748, sections 5.2 and 6.1", () => {
		expect(
			show(
				p.dh(
					hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
					hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
				),
			),
		).toBe("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
		const alicePrivate = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
		const bobPrivate = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
		expect(show(p.publicKey(alicePrivate))).toBe("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
		expect(show(p.publicKey(bobPrivate))).toBe("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
		expect(show(p.dh(alicePrivate, p.publicKey(bobPrivate)))).toBe(
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
		);
	});

	it("X25519 refuses every point of small order: RFC 7748, section 6.1", () => {
		const secret = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
		const small = [
			"0000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000",
			"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
			"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
			"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		];
		for (const point of small) expect(p.dh(secret, hex(point)), point).toBeNull();
	});

	it("ChaCha20-Poly1305: RFC 8439, section 2.8.2", () => {
		const key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
		const nonce = hex("070000004041424344454647");
		const data = hex("50515253c0c1c2c3c4c5c6c7");
		const sealed = p.seal(key, nonce, sunscreen, data);
		expect(show(sealed.subarray(0, 16))).toBe("d31a8d34648e60db7b86afbc53ef7ec2");
		expect(show(sealed.subarray(-16))).toBe("1ae10b594f09e26a7e902ecbd0600691");
		expect(show(p.open(key, nonce, sealed, data))).toBe(show(sunscreen));
		sealed[3] = (sealed[3] as number) ^ 1;
		expect(p.open(key, nonce, sealed, data)).toBeNull();
	});

	it("HChaCha20 and XChaCha20-Poly1305: the XChaCha draft, 2.2.1 and A.3.1", () => {
		expect(
			show(
				p.subkey(
					hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
					hex("000000090000004a0000000031415927"),
				),
			),
		).toBe("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");
		const key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
		const nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
		const data = hex("50515253c0c1c2c3c4c5c6c7");
		const sealed = sealWide(p, key, nonce, sunscreen, data);
		expect(show(sealed.subarray(0, 16))).toBe("bd6d179d3e83d43b9576579493c0e939");
		expect(show(sealed.subarray(-16))).toBe("c0875924c1c7987947deafd8780acf49");
		expect(show(openWide(p, key, nonce, sealed, data))).toBe(show(sunscreen));
	});

	it("BLAKE2s-256: RFC 7693, appendix B; with a key: the reference's first vectors", () => {
		expect(show(p.hash(ascii("abc")))).toBe("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
		expect(show(p.hash(ascii("a"), ascii("bc")))).toBe(show(p.hash(ascii("abc"))));
		// RFC 7693, appendix E: the keyed digests of 16 bytes are among its self-test; here against the independent one.
		const key = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
		expect(show(p.mac(key, ascii("ab"), ascii("c")))).toBe(show(nodePrimitives.mac(key, ascii("abc"))));
		expect(show(p.mac(key.subarray(0, 16), ascii("abc")))).toBe(
			show(nodePrimitives.mac(key.subarray(0, 16), ascii("abc"))),
		);
		expect(p.mac(key, ascii("abc"))).toHaveLength(16);
	});

	it("HMAC and HKDF: RFC 2104 and RFC 5869 written out over BLAKE2s", () => {
		const key = hex("0b".repeat(32));
		const text = ascii("Hi There");
		const pad = (byte: number) => Uint8Array.from({ length: 64 }, (_, at) => (key[at] ?? 0) ^ byte);
		expect(show(p.hmac(key, text))).toBe(show(p.hash(pad(0x5c), p.hash(pad(0x36), text))));
		const secret = p.hmac(key, text);
		const first = p.hmac(secret, Uint8Array.of(1));
		const second = p.hmac(secret, first, Uint8Array.of(2));
		expect(derive(p, key, text, 2).map(show)).toEqual([show(first), show(second)]);
	});

	it("the handshake begins with the constants that every implementation has", () => {
		const { chain } = initialState(p, new Uint8Array(32));
		expect(show(chain)).toBe("60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
		expect(show(p.hash(chain, ascii("WireGuard v1 zx2c4 Jason@zx2c4.com")))).toBe(
			"2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3",
		);
	});
});

/** In an arena that never moves, as an engine has it; what lies around a packet must stay as it is. */
describe("C2 keys of a session", () => {
	const arena = new Uint8Array(new WebAssembly.Memory({ initial: 2, maximum: 2 }).buffer);
	const ways: readonly (readonly [string, MakeTransportKey])[] = [
		["node:crypto", nodeTransportKeys(arena)],
		["OpenSSL's envelope", openOpenssl().envelopeKeys(arena)],
		["OpenSSL, as the offload data plane calls it", openOpenssl().transportKeys(arena)],
	];
	const key = hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
	const lengths = [0, 1, 15, 16, 17, 63, 64, 65, 255, 1023, 1024, 1280, 1420, 1424, 8920, 65_000];

	it.each(ways)("%s seals as RFC 8439 says, whatever the length, and touches nothing else", (_name, make) => {
		const sealing = make(key, "seal");
		const opening = make(key, "open");
		for (const length of lengths)
			for (const counter of [0, 7, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 3]) {
				for (let at = 0; at < arena.length; at++) arena[at] = (at * 31 + length) & 255;
				const before = arena.slice();
				const plain = arena.slice(100, 100 + length);
				const nonce = new Uint8Array(12);
				new DataView(nonce.buffer).setBigUint64(4, BigInt(counter), true);
				const expected = nodePrimitives.seal(key, nonce, plain, new Uint8Array(0));
				sealing.seal(100, length, counter);
				expect(Buffer.compare(arena.subarray(100, 100 + length + 16), expected), `${length}`).toBe(0);
				expect(Buffer.compare(arena.subarray(0, 100), before.subarray(0, 100))).toBe(0);
				expect(Buffer.compare(arena.subarray(116 + length), before.subarray(116 + length))).toBe(0);
				expect(opening.open(100, length + 16, counter)).toBe(true);
				expect(Buffer.compare(arena.subarray(0, 100 + length), before.subarray(0, 100 + length))).toBe(0);
				expect(Buffer.compare(arena.subarray(116 + length), before.subarray(116 + length))).toBe(0);
			}
		sealing.erase();
		opening.erase();
	});

	it.each(ways)("%s works at both ends of its arena", (_name, make) => {
		const sealing = make(key, "seal");
		const opening = make(key, "open");
		for (const [at, length] of [
			[0, 20],
			[63, 33],
			[64, 33],
			[arena.length - 16, 0],
			[arena.length - 37, 21],
		] as const) {
			arena.fill(3);
			sealing.seal(at, length, 9);
			const nonce = new Uint8Array(12);
			nonce[4] = 9;
			const expected = nodePrimitives.seal(key, nonce, new Uint8Array(length).fill(3), new Uint8Array(0));
			expect(Buffer.compare(arena.subarray(at, at + length + 16), expected), `${length} at ${at}`).toBe(0);
			expect(opening.open(at, length + 16, 9)).toBe(true);
			expect(arena.subarray(at, at + length).every((each) => each === 3)).toBe(true);
		}
		opening.erase();
		sealing.erase();
	});

	it.each(ways)(
		"%s opens nothing that was changed in any byte, cut short, or sealed for another number",
		(_name, make) => {
			const sealing = make(key, "seal");
			const opening = make(key, "open");
			const seal = () => {
				arena.fill(9, 100, 180);
				sealing.seal(100, 80, 5);
			};
			for (let byte = 0; byte < 96; byte++) {
				seal();
				arena[100 + byte] = (arena[100 + byte] as number) ^ 0x80;
				expect(opening.open(100, 96, 5), `byte ${byte}`).toBe(false);
			}
			for (const length of [0, 15, 16, 95]) {
				seal();
				expect(opening.open(100, length, 5), `${length}`).toBe(false);
			}
			seal();
			expect(opening.open(100, 96, 6)).toBe(false);
			seal();
			expect(opening.open(100, 96, 5)).toBe(true);
			opening.erase();
			sealing.erase();
		},
	);

	it("a key of the offload data plane stays in its arena, and is of no use once it is erased", () => {
		for (const [, make] of ways.slice(1)) {
			const sealing = make(key, "seal");
			expect(() => sealing.open(arena.length - 8, 16, 5)).toThrow(/arena/);
			expect(() => sealing.seal(arena.length - 32, 17, 5)).toThrow(/arena/);
			expect(() => sealing.seal(-1, 16, 5)).toThrow(/arena/);
			sealing.erase();
			expect(() => sealing.seal(0, 16, 0)).toThrow(/after it was erased/);
		}
	});
});
