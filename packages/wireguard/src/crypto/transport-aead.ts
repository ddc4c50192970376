import koffi from "koffi";
import { tagBytes } from "../protocol/constants.ts";
import type { MakeTransportKey } from "../protocol/primitives.ts";

/**
 * ChaCha20-Poly1305 of data messages (RFC 8439, section 2.8, without additional data), from the two functions of
 * OpenSSL that its own AEAD is made of. Called one by one they do without what the envelope around them adds to each
 * packet: about half of 2.1 µs at 1,420 bytes. Every address is computed here and every bound checked here.
 */

type Library = ReturnType<typeof koffi.load>;
type Call = (...args: readonly number[]) => number;

/** Shared by all keys: one thread seals and opens, one packet at a time. */
const shared = { zeros: 0, oneTimeKey: 64, lengths: 128, tag: 160, state: 192 } as const;
/** A key's own. Counters are OpenSSL's: the block's number, then the nonce. */
const own = { key: 0, firstBlock: 32, payloadBlocks: 48, bytes: 64 } as const;
const blockBytes = 64;
/** OpenSSL's is 248; more would be another structure than the one that is meant. */
const maxStateBytes = 1024;

/** null = this node binary keeps these functions to itself. */
export function openTransportAead(library: Library): ((arena: Uint8Array) => MakeTransportKey) | null {
	const calls = find(library);
	if (calls === null) return null;
	const { stream, begin, update, finish } = calls;

	return (arena) => {
		const base = Number(koffi.address(arena));
		const scratch = new Uint8Array(new ArrayBuffer(shared.state + maxStateBytes));
		const scratchView = new DataView(scratch.buffer);
		const scratchAt = Number(koffi.address(scratch));
		const zeros = scratchAt + shared.zeros;
		const oneTimeKey = scratchAt + shared.oneTimeKey;
		const state = scratchAt + shared.state;
		const arenaView = new DataView(arena.buffer, arena.byteOffset, arena.length);
		const block = new Int32Array(blockBytes / 4);
		const given = new Int32Array(4);
		const beyond = new Uint8Array(16);

		/** Keeps what lies there (what was sealed before, and this message's header) and leaves zeros. */
		const takeBlock = (offset: number) => {
			for (let word = 0; word < block.length; word++) {
				block[word] = arenaView.getInt32(offset + word * 4, true);
				arenaView.setInt32(offset + word * 4, 0, true);
			}
		};
		const putBlock = (offset: number) => {
			for (let word = 0; word < block.length; word++)
				arenaView.setInt32(offset + word * 4, block[word] as number, true);
		};
		/**
		 * The tag covers the text, zeros to its next multiple of 16, and both lengths. Those are put behind the text, over
		 * the tag's place; what lies beyond that is as it was afterwards.
		 */
		const finishTag = (offset: number, length: number, tagAt: number) => {
			const padding = -length & 15;
			const end = offset + length;
			if (end + padding + tagBytes > arena.length) {
				if (length > 0) update(state, base + offset, length);
				scratchView.setUint32(shared.lengths + 24, length, true);
				update(state, scratchAt + shared.lengths + 16 - padding, padding + tagBytes);
				return void finish(state, tagAt);
			}
			for (let each = 0; each < padding; each++) {
				beyond[each] = arena[end + tagBytes + each] as number;
				arena[end + each] = 0;
			}
			arenaView.setInt32(end + padding, 0, true);
			arenaView.setInt32(end + padding + 4, 0, true);
			arenaView.setInt32(end + padding + 8, length, true);
			arenaView.setInt32(end + padding + 12, 0, true);
			update(state, base + offset, length + padding + tagBytes);
			finish(state, tagAt);
			for (let each = 0; each < padding; each++) arena[end + tagBytes + each] = beyond[each] as number;
		};

		return (key) => {
			const memory = new Uint8Array(new ArrayBuffer(own.bytes));
			memory.set(key, own.key);
			const view = new DataView(memory.buffer);
			view.setUint32(own.payloadBlocks, 1, true);
			const at = Number(koffi.address(memory));
			let isErased = false;
			const check = (offset: number, length: number) => {
				if (isErased) throw new Error("A session's key was used after it was erased.");
				if (offset < 0 || length < 0 || offset + length > arena.length)
					throw new RangeError(`A packet of ${length} bytes at ${offset} does not fit the arena of ${arena.length}.`);
			};
			const setNonce = (counter: number) => {
				const high = Math.floor(counter / 0x1_0000_0000);
				view.setUint32(own.firstBlock + 8, counter >>> 0, true);
				view.setUint32(own.firstBlock + 12, high, true);
				view.setUint32(own.payloadBlocks + 8, counter >>> 0, true);
				view.setUint32(own.payloadBlocks + 12, high, true);
			};
			return {
				seal(offset, length, counter) {
					check(offset, length + tagBytes);
					setNonce(counter);
					const text = base + offset;
					if (offset >= blockBytes) {
						// One call for the block that gives the tag's key and for those of the text: zeros before it become that key.
						takeBlock(offset - blockBytes);
						stream(text - blockBytes, text - blockBytes, blockBytes + length, at + own.key, at + own.firstBlock);
						begin(state, text - blockBytes);
						putBlock(offset - blockBytes);
					} else {
						stream(oneTimeKey, zeros, blockBytes, at + own.key, at + own.firstBlock);
						begin(state, oneTimeKey);
						if (length > 0) stream(text, text, length, at + own.key, at + own.payloadBlocks);
					}
					finishTag(offset, length, text + length);
				},
				open(offset, length, counter) {
					check(offset, length);
					const plain = length - tagBytes;
					if (plain < 0) return false;
					setNonce(counter);
					stream(oneTimeKey, zeros, blockBytes, at + own.key, at + own.firstBlock);
					begin(state, oneTimeKey);
					const tag = offset + plain;
					for (let word = 0; word < 4; word++) given[word] = arenaView.getInt32(tag + word * 4, true);
					finishTag(offset, plain, scratchAt + shared.tag);
					// Without a branch on any of its bytes.
					let difference = 0;
					for (let word = 0; word < 4; word++)
						difference |= (given[word] as number) ^ scratchView.getInt32(shared.tag + word * 4, true);
					if (difference !== 0) return false;
					const text = base + offset;
					if (plain > 0) stream(text, text, plain, at + own.key, at + own.payloadBlocks);
					return true;
				},
				erase() {
					isErased = true;
					memory.fill(0);
					scratch.fill(0);
				},
			};
		};
	};
}

function find(library: Library) {
	try {
		const func = (definition: string) => library.func(definition) as unknown as Call;
		const calls = {
			stream: func("void ChaCha20_ctr32(int64_t out, int64_t in, size_t length, int64_t key, int64_t counter)"),
			begin: func("void Poly1305_Init(int64_t state, int64_t key)"),
			update: func("void Poly1305_Update(int64_t state, int64_t in, size_t length)"),
			finish: func("void Poly1305_Final(int64_t state, int64_t tag)"),
		};
		const stateBytes = func("size_t Poly1305_ctx_size()")();
		return stateBytes > 0 && stateBytes <= maxStateBytes ? calls : null;
	} catch {
		// Not exported: OpenSSL's envelope does the same, and shows as nothing but its speed.
		return null;
	}
}
