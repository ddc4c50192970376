import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { messageOf } from "@warren/kernel";
import { wireguardError } from "../errors.ts";
import type { Instant } from "../protocol/timestamps.ts";

/**
 * The highest stamp that our initiations may have used, on disk: peers refuse a stamp that is not above the last one,
 * also after this process died and the clock went back. Written whole, synced, then renamed into place.
 */
export class TimestampStore {
	readonly #path: string;

	constructor(path: string) {
		this.#path = path;
	}

	/** Zero when there is none. @throws WarrenError `bad_timestamp_file` when the file is not ours. */
	read(): Instant {
		let text: string;
		try {
			text = readFileSync(this.#path, "utf8");
		} catch (failure) {
			if ((failure as NodeJS.ErrnoException).code === "ENOENT") return { seconds: 0, nanos: 0 };
			throw failure;
		}
		const match = /^tai64n-floor (\d{1,12}) (\d{1,9})\n$/.exec(text);
		if (match === null)
			throw wireguardError("bad_timestamp_file", `${this.#path} does not hold the last handshake's time.`, {
				fix: "Remove it if this host's clock is right; peers that saw later stamps would refuse it otherwise.",
			});
		return { seconds: Number(match[1]), nanos: Number(match[2]) };
	}

	/** @throws Error of the system. */
	write(until: Instant): void {
		const next = `${this.#path}.next`;
		const file = openSync(next, "w", 0o600);
		try {
			writeSync(file, `tai64n-floor ${until.seconds} ${until.nanos}\n`);
			fsyncSync(file);
		} finally {
			closeSync(file);
		}
		renameSync(next, this.#path);
	}
}

/**
 * The store as a data plane uses it: a disk that is full ends no session. What could not be written is told of, and
 * written with the next stamps.
 */
export class KeptStamps {
	readonly #store: TimestampStore | null;
	readonly #told: (refused: string | null) => void;
	#isRefused = false;

	/** @param told why they could not be written, each time; null = they can again. */
	constructor(store: TimestampStore | null, told: (refused: string | null) => void) {
		this.#store = store;
		this.#told = told;
	}

	write(until: Instant): void {
		try {
			this.#store?.write(until);
			if (this.#isRefused) this.#told(null);
			this.#isRefused = false;
		} catch (failure) {
			this.#isRefused = true;
			this.#told(messageOf(failure));
		}
	}
}
