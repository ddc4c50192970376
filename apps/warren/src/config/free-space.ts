import { statfs } from "node:fs/promises";
import type { Clock, Closeable, ConditionKind, HealthTable, Timer } from "@warren/kernel";

/** Of the file system that a data folder is on. Bytes and milliseconds. */
export const freeSpaceLimits = {
	/** Below it, it is told. */
	lowBytes: 200 * 1024 * 1024,
	/** Below it, hardly anything can be saved. */
	fullBytes: 16 * 1024 * 1024,
	/** What is told is taken back once there is so much more: no back and forth. */
	clearedBy: 1.25,
	everyMs: 60_000,
} as const;

export const spaceConditions = {
	low: {
		code: "disk-low",
		severity: "warning",
		title: "{megabytes} MB of disk space are left for {folder}.",
		advice: "Free some disk space: soon documents, accounts and sessions cannot be saved.",
		delayMs: 0,
	},
	full: {
		code: "disk-full",
		severity: "error",
		title: "The disk is full: {megabytes} MB are left for {folder}.",
		advice: "Free some disk space: until then what is new is refused, and nothing that was acknowledged is lost.",
		delayMs: 0,
	},
} as const satisfies Readonly<Record<string, ConditionKind>>;

/** @returns bytes that this user may still write there. @throws when the folder cannot be looked at. */
export async function freeBytes(folder: string): Promise<number> {
	const { bavail, bsize } = await statfs(folder);
	return bavail * bsize;
}

/** Raises and clears what a data folder's disk has to say. */
export class FreeSpace implements Closeable {
	readonly #clock: Clock;
	readonly #health: HealthTable;
	readonly #folder: string;
	readonly #free: (folder: string) => Promise<number>;
	#timer: Timer | null = null;
	#closed = false;

	/** @param free `freeBytes` unless told. */
	constructor(deps: { readonly clock: Clock; readonly health: HealthTable }, folder: string, free = freeBytes) {
		this.#clock = deps.clock;
		this.#health = deps.health;
		this.#folder = folder;
		this.#free = free;
	}

	/** Resolves after the first look; looks again each minute. */
	async start(): Promise<this> {
		await this.#look();
		return this;
	}

	close(): void {
		this.#closed = true;
		this.#timer?.cancel();
	}

	async #look(): Promise<void> {
		// A folder that cannot be looked at is told by whoever writes there.
		const free = await this.#free(this.#folder).catch(() => null);
		if (this.#closed) return;
		if (free !== null) {
			const { lowBytes, fullBytes } = freeSpaceLimits;
			const facts = { folder: this.#folder, megabytes: String(Math.floor(free / 1024 / 1024)) };
			const full = this.#tell(spaceConditions.full, free, fullBytes, facts);
			if (full) this.#health.clear(spaceConditions.low);
			else this.#tell(spaceConditions.low, free, lowBytes, facts);
		}
		this.#timer = this.#clock.after(freeSpaceLimits.everyMs, () => void this.#look());
	}

	/** @returns whether it is told now. */
	#tell(kind: ConditionKind, free: number, below: number, facts: Readonly<Record<string, string>>): boolean {
		const was = this.#health.list().some(({ code }) => code === kind.code);
		const is = free < (was ? below * freeSpaceLimits.clearedBy : below);
		if (is) this.#health.raise(kind, facts);
		else this.#health.clear(kind);
		return is;
	}
}
