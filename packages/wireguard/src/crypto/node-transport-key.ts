import { createCipheriv, createDecipheriv } from "node:crypto";
import { tagBytes } from "../protocol/constants.ts";
import type { MakeTransportKey } from "../protocol/primitives.ts";

const tagLength = { authTagLength: tagBytes } as const;

/** Data messages through node:crypto: a cipher and two copies a packet. For a node binary that keeps its OpenSSL to itself. */
export function nodeTransportKeys(arena: Uint8Array): MakeTransportKey {
	return (bytes) => {
		const key = Uint8Array.from(bytes);
		const nonce = Buffer.alloc(12);
		const setNonce = (counter: number) => {
			nonce.writeUInt32LE(counter >>> 0, 4);
			nonce.writeUInt32LE(Math.floor(counter / 0x1_0000_0000), 8);
		};
		return {
			seal(offset, length, counter) {
				setNonce(counter);
				const cipher = createCipheriv("chacha20-poly1305", key, nonce, tagLength);
				arena.set(cipher.update(arena.subarray(offset, offset + length)), offset);
				cipher.final();
				arena.set(cipher.getAuthTag(), offset + length);
			},
			open(offset, length, counter) {
				setNonce(counter);
				const decipher = createDecipheriv("chacha20-poly1305", key, nonce, tagLength);
				const end = offset + length - tagBytes;
				decipher.setAuthTag(arena.subarray(end, end + tagBytes));
				const plain = decipher.update(arena.subarray(offset, end));
				try {
					decipher.final();
				} catch {
					// The one thing that `final` fails of: the tag is not right.
					return false;
				}
				arena.set(plain, offset);
				return true;
			},
			erase: () => void key.fill(0),
		};
	};
}
