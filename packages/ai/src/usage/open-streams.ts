import { aiError } from "../errors.ts";
import { aiLimits } from "../limits.ts";

/** How many requests each person has open: one person cannot hold every connection upstream. */
export class OpenStreams {
	readonly #open = new Map<string, number>();

	/** @returns its release, safe to call once. @throws WarrenError `too_many_streams`. */
	take(user: string): () => void {
		const open = this.#open.get(user) ?? 0;
		if (open >= aiLimits.maxStreamsPerUser)
			throw aiError("too_many_streams", `You have ${open} requests open; ${aiLimits.maxStreamsPerUser} are the most.`, {
				details: { retryAfterMs: 1000 },
			});
		this.#open.set(user, open + 1);
		return () => {
			const now = (this.#open.get(user) ?? 1) - 1;
			if (now === 0) this.#open.delete(user);
			else this.#open.set(user, now);
		};
	}

	get size(): number {
		return [...this.#open.values()].reduce((sum, open) => sum + open, 0);
	}
}
