import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import type { Clock, Closeable, Timer } from "@warren/kernel";

const limits = {
	everyMs: 30_000,
	/** Resident memory that came since the last time and makes it worth while, bytes. */
	worthBytes: 16 * 1024 ** 2,
	/** Share of the time since the last look in which the loop worked; busier than this it is left alone. */
	idleShare: 0.25,
};

/** What it looks at, and what it does. */
export interface MemoryTrimDeps {
	readonly clock: Clock;
	/** Bytes. */
	readonly residentBytes: () => number;
	/** Share of the time since the last call in which the event loop worked. */
	readonly busyShare: () => number;
	readonly trim: () => void;
}

/**
 * Gives memory that is free inside the C library's heap back to the system. Buffers of a burst leave holes that glibc
 * keeps for ever by itself. A millisecond for a small process, ten for a large one: done when the process rests.
 */
export class MemoryTrim implements Closeable {
	readonly #deps: MemoryTrimDeps;
	#timer: Timer | undefined;
	#kept = 0;

	constructor(deps: MemoryTrimDeps) {
		this.#deps = deps;
		this.#next();
	}

	/** @returns null where the C library has no such call (musl, macOS, Windows). */
	static start(clock: Clock): MemoryTrim | null {
		const trim = mallocTrim();
		if (trim === null) return null;
		let loop = performance.eventLoopUtilization();
		const busyShare = () => {
			const before = loop;
			loop = performance.eventLoopUtilization();
			return performance.eventLoopUtilization(loop, before).utilization;
		};
		return new MemoryTrim({ clock, trim, busyShare, residentBytes: () => process.memoryUsage.rss() });
	}

	close(): void {
		this.#timer?.cancel();
	}

	#next(): void {
		const { clock, residentBytes, busyShare, trim } = this.#deps;
		this.#timer = clock.after(limits.everyMs, () => {
			if (busyShare() <= limits.idleShare && residentBytes() - this.#kept > limits.worthBytes) {
				trim();
				this.#kept = residentBytes();
			}
			this.#next();
		});
	}
}

function mallocTrim(): (() => void) | null {
	if (process.platform !== "linux") return null;
	try {
		const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
		const call = koffi.load(null).func("int malloc_trim(size_t)");
		return () => void call(0);
	} catch {
		// musl has none, and needs none.
		return null;
	}
}
