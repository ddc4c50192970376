/** TAI64N, 12 bytes big-endian: 2^62 + TAI seconds, then nanoseconds. */
export const timestampBytes = 12;

const epochHigh = 0x4000_0000;
/** TAI was 10 s ahead at the Unix epoch; leap seconds since do not matter, only order does. */
const epochLow = 10;
/** Coarse on purpose: a precise clock is a side channel (the reference does the same). 2^24 ns, about 17 ms. */
const stepNanos = 2 ** 24;

export interface Instant {
	/** Since the Unix epoch. */
	readonly seconds: number;
	readonly nanos: number;
}

/**
 * The stamps of our initiations: strictly increasing, whatever the clock does. A peer refuses a stamp that is not above
 * the last one for ever, so what was used must outlive the process: see `TimestampStore`.
 */
export class Timestamps {
	#last: Instant;
	readonly #reserve: (until: Instant) => void;
	#reserved: Instant;

	/**
	 * @param floor the highest instant that may have been used before.
	 * @param reserve called, before it is passed, with an instant that no stamp will pass without another call.
	 */
	constructor(floor: Instant, reserve: (until: Instant) => void) {
		this.#last = floor;
		this.#reserved = floor;
		this.#reserve = reserve;
	}

	/** @param wallMs the wall clock, ms since the Unix epoch. */
	next(wallMs: number): Uint8Array {
		const wall = instantOf(wallMs);
		const next = isAfter(wall, this.#last) ? wall : stepAfter(this.#last);
		if (isAfter(next, this.#reserved)) {
			this.#reserved = { seconds: next.seconds + reserveSeconds, nanos: 0 };
			this.#reserve(this.#reserved);
		}
		this.#last = next;
		return encodeTimestamp(next);
	}

	/** The highest in use: what a clean end writes down, so that the next start is not ahead of the clock. */
	get last(): Instant {
		return this.#last;
	}
}

/** How far ahead is written down at once. */
const reserveSeconds = 60;

export function encodeTimestamp(at: Instant): Uint8Array {
	const bytes = new Uint8Array(timestampBytes);
	const view = new DataView(bytes.buffer);
	const low = at.seconds + epochLow;
	view.setUint32(0, epochHigh + Math.floor(low / 0x1_0000_0000));
	view.setUint32(4, low >>> 0);
	view.setUint32(8, at.nanos);
	return bytes;
}

/** Order of two stamps on the wire. */
export function isLater(a: Uint8Array, b: Uint8Array): boolean {
	for (let at = 0; at < timestampBytes; at++) {
		const difference = (a[at] ?? 0) - (b[at] ?? 0);
		if (difference !== 0) return difference > 0;
	}
	return false;
}

function instantOf(wallMs: number): Instant {
	const seconds = Math.floor(wallMs / 1000);
	const nanos = Math.floor((wallMs - seconds * 1000) * 1e6);
	return { seconds, nanos: nanos - (nanos % stepNanos) };
}

function stepAfter(at: Instant): Instant {
	const nanos = at.nanos + stepNanos;
	return nanos < 1e9 ? { seconds: at.seconds, nanos } : { seconds: at.seconds + 1, nanos: 0 };
}

function isAfter(a: Instant, b: Instant): boolean {
	return a.seconds === b.seconds ? a.nanos > b.nanos : a.seconds > b.seconds;
}
