import { pathLimits } from "./path-limits.ts";

interface Search {
	readonly via: string;
	/** It was found before, and is looked at again. */
	readonly isCheck: boolean;
	readonly since: number;
	tries: number;
	nextAt: number;
	best: number;
}

/** What is to be done for the MTU now: sizes of inner packets to probe (0 = the least there is), or what was found. */
export type MtuStep =
	| { readonly type: "probe"; readonly sizes: readonly number[] }
	| { readonly type: "found"; readonly bytes: number }
	/** Answers come, but none to what IPv6 needs at least. */
	| { readonly type: "narrow" };

/**
 * The largest inner packet that a peer's path carries. Found when the path is new, and looked at again while it is used:
 * a path that becomes narrower answers every small probe as before and swallows all that is large.
 */
export class PathMtu {
	/** As found last; 0 = never. */
	bytes = 0;
	#search: Search | null = null;
	#checkAt = Number.POSITIVE_INFINITY;

	/** The path is another one. */
	begin(via: string, now: number): void {
		this.#search = { via, isCheck: false, since: now, tries: 0, nextAt: now, best: 0 };
	}

	stop(): void {
		this.#search = null;
		this.#checkAt = Number.POSITIVE_INFINITY;
	}

	/** @param inUse whether anything larger than a probe goes that way. */
	nextAt(inUse: boolean): number {
		return this.#search?.nextAt ?? (inUse ? this.#checkAt : Number.POSITIVE_INFINITY);
	}

	/** @param answeredAt of the last answer to a small probe. */
	step(via: string, inUse: boolean, answeredAt: number, now: number): MtuStep | null {
		if (this.#search === null && inUse && now >= this.#checkAt)
			this.#search = { via, isCheck: true, since: now, tries: 0, nextAt: now, best: 0 };
		const search = this.#search;
		if (search === null || search.via !== via || now < search.nextAt) return null;
		search.nextAt = now + pathLimits.mtuTryMs;
		if (search.tries < (search.best > 0 ? pathLimits.mtuTries : pathLimits.narrowTries)) {
			search.tries += 1;
			// What it was, and more; less only when that stays without an answer.
			const least = search.isCheck && search.tries === 1 ? this.bytes : search.best + 1;
			return { type: "probe", sizes: pathLimits.mtuLadder.filter((bytes) => bytes >= least) };
		}
		if (search.best > 0) return this.#found(search.best, now);
		// Nothing at all came back: the path is down rather than narrow, and that is not judged here.
		if (answeredAt <= search.since) return { type: "probe", sizes: [0] };
		this.#search = null;
		this.#checkAt = now + pathLimits.reseekEveryMs;
		return { type: "narrow" };
	}

	/** An answer to a probe of so many bytes. @returns the MTU when it is another now. */
	answered(via: string, bytes: number, now: number): number | null {
		const search = this.#search;
		if (search === null || search.via !== via || bytes <= search.best) return null;
		search.best = bytes;
		const before = this.bytes;
		// A new path is used at once with what it has shown; one that is looked at again keeps what it had meanwhile.
		if (bytes === pathLimits.mtuLadder[0] || (search.isCheck && search.tries === 1 && bytes >= before))
			this.#found(bytes, now);
		else if (!search.isCheck) this.bytes = bytes;
		return this.bytes === before ? null : this.bytes;
	}

	#found(bytes: number, now: number): MtuStep {
		this.#search = null;
		this.#checkAt = now + pathLimits.mtuCheckEveryMs;
		this.bytes = bytes;
		return { type: "found", bytes };
	}
}
