/** Datagrams on their way between the two threads, either way; beyond it they are dropped, as a full wire would. */
const maxBytesUnderWay = 4 * 1024 * 1024;
/** What one costs beside its bytes. */
const messageBytes = 256;
/** Taken datagrams are told of in lots: a message for each would double their number. */
const lotBytes = 64 * 1024;

/**
 * Bounds what one thread has sent another that the other has not taken yet: message ports queue without a limit, and a
 * flood or a slow reader would fill the memory with it.
 */
export class Allowance {
	dropped = 0;
	#underWay = 0;
	#taken = 0;

	/** Before sending `bytes`: false = drop it. */
	claim(bytes: number): boolean {
		if (this.#underWay + bytes + messageBytes > maxBytesUnderWay) {
			this.dropped += 1;
			return false;
		}
		this.#underWay += bytes + messageBytes;
		return true;
	}

	/** The other side has told of a lot. */
	free(bytes: number): void {
		this.#underWay = Math.max(0, this.#underWay - bytes);
	}

	/** After taking `bytes` from the other side: the lot to tell it of, or 0 to wait for more. */
	take(bytes: number): number {
		this.#taken += bytes + messageBytes;
		if (this.#taken < lotBytes) return 0;
		const lot = this.#taken;
		this.#taken = 0;
		return lot;
	}
}
