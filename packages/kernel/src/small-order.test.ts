import { createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { isSmallOrder } from "./small-order.ts";

const p = 2n ** 255n - 19n;
const { privateKey } = generateKeyPairSync("x25519");

function bytesOf(value: bigint): Uint8Array {
	return Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 255n));
}

/** What OpenSSL thinks of it: it derives nothing from a point of small order. */
function derives(publicKey: Uint8Array): boolean {
	const key = Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), publicKey]);
	try {
		return (
			diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: "der", type: "spki" }) }).length === 32
		);
	} catch {
		return false;
	}
}

describe("a point of small order", () => {
	it("is told from any other as OpenSSL tells it, in every spelling", () => {
		const order8 = [
			325606250916557431795983626356110631294008115727848805560023387167927233504n,
			39382357235489614581723060781553021112529911719440698176882885853963445705823n,
		];
		const near = [0n, ...order8, p].flatMap((each) => [-2n, -1n, 0n, 1n, 2n].map((more) => each + more));
		const values = near.filter((each) => each >= 0n).flatMap((each) => [each, each | (1n << 255n)]);
		const found = values.filter((each) => isSmallOrder(bytesOf(each)));
		expect(found).toEqual(values.filter((each) => !derives(bytesOf(each))));
		expect(found).toHaveLength(14);
	});
});
