import { totalmem } from "node:os";
import { laneLimits } from "../protocol/lanes.ts";

/** Bytes that lanes' windows may grow by beyond their first ones, of one connection or of all of a process. */
export class WindowBudget {
	readonly bytes: number;
	readonly #whole: WindowBudget | null;
	#left: number;

	/** @param whole what this one is a part of. */
	constructor(bytes: number, whole: WindowBudget | null = null) {
		this.bytes = bytes;
		this.#whole = whole;
		this.#left = bytes;
	}

	/** Of all lanes of a server, or of an agent's process. @param memoryBytes what the process may have. */
	static ofProcess(memoryBytes: number = memoryOfProcess()): WindowBudget {
		const { part, leastBytes, mostBytes } = laneLimits.extra;
		return new WindowBudget(Math.min(mostBytes, Math.max(leastBytes, Math.floor(memoryBytes / part))));
	}

	/** For one connection: half of it, so that others find the rest. */
	half(): WindowBudget {
		return new WindowBudget(this.bytes / 2, this);
	}

	get left(): number {
		return this.#whole === null ? this.#left : Math.min(this.#left, this.#whole.left);
	}

	/** Less than half of it is left. */
	get isScarce(): boolean {
		return this.left < this.bytes / 2;
	}

	/**
	 * @param held what the lane has of it already.
	 * @returns how many more it gets: with those, half at most of what is left, so that whoever comes later finds some, too.
	 */
	take(bytes: number, held: number): number {
		const most = Math.floor((this.left + held) / 2) - held;
		const taken = Math.max(0, Math.min(bytes, most));
		this.give(-taken);
		return taken;
	}

	give(bytes: number): void {
		this.#left += bytes;
		this.#whole?.give(bytes);
	}
}

/** The machine's, or less where somebody has set a limit. */
function memoryOfProcess(): number {
	const limit = process.constrainedMemory();
	return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
