import { Backoff, type Clock, type Logger, messageOf, type Random, type Timer } from "@warren/kernel";
import type { HostedApp, Joiner } from "@warren/overlay/joiner";

/** Of what cannot be opened anew: it is tried for as long as it takes. */
const retry = { firstMs: 1_000, maxMs: 60_000 };
/** A device that is unfit so long after the one before it is replaced at once, and so is the first. */
const lastedMs = 60_000;

export type OpenedJoiner = Pick<Joiner, "setApps" | "close">;

export interface LastingJoinerDeps<J extends OpenedJoiner> {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	/** @param onUnfit is called when it must be closed and opened anew. */
	readonly open: (apps: readonly HostedApp[], onUnfit: (reason: string) => void) => Promise<J>;
}

/** A joiner that outlives its device: opened anew, with the apps that it has now, when the device can serve no longer. */
export class LastingJoiner<J extends OpenedJoiner> {
	readonly #deps: LastingJoinerDeps<J>;
	readonly #backoff: Backoff;
	/** Null between two. */
	#joiner: J | null = null;
	#apps: readonly HostedApp[];
	#changing: Promise<unknown> = Promise.resolve();
	#isClosed = false;
	/** The last time, monotonic. */
	#unfitAt = Number.NEGATIVE_INFINITY;
	#timer: Timer | undefined;

	private constructor(deps: LastingJoinerDeps<J>, apps: readonly HostedApp[]) {
		this.#deps = deps;
		this.#apps = apps;
		this.#backoff = new Backoff(retry, deps.random);
	}

	/** @throws whatever opening the first one does. */
	static async open<J extends OpenedJoiner>(
		deps: LastingJoinerDeps<J>,
		apps: readonly HostedApp[],
	): Promise<{ readonly lasting: LastingJoiner<J>; readonly first: J }> {
		const lasting = new LastingJoiner(deps, apps);
		let first: J | undefined;
		// In its turn, too: what its device says meanwhile waits until there is a joiner to close.
		await lasting.#next(async () => void (first = await lasting.#open()));
		return { lasting, first: first as J };
	}

	/** Opens it anew: what it was opened with holds no longer. */
	reopen(reason: string): Promise<void> {
		return this.#next(async () => {
			if (this.#isClosed || this.#joiner === null) return;
			await this.#giveUp(reason);
			await this.#tryAgain();
		});
	}

	/** Between two joiners the apps are kept for the next one. @throws WarrenError as the joiner does. */
	setApps(apps: readonly HostedApp[]): Promise<void> {
		return this.#next(async () => {
			this.#apps = apps;
			await this.#joiner?.setApps(apps);
		});
	}

	async close(): Promise<void> {
		this.#isClosed = true;
		this.#timer?.cancel();
		await this.#next(() => this.#end());
	}

	async #open(): Promise<J> {
		const joiner = await this.#deps.open(this.#apps, (reason) => void this.#next(() => this.#replace(joiner, reason)));
		this.#joiner = joiner;
		return joiner;
	}

	async #replace(unfit: J, reason: string): Promise<void> {
		if (this.#isClosed || this.#joiner !== unfit) return;
		const now = this.#deps.clock.monotonic();
		const hasLasted = now - this.#unfitAt >= lastedMs;
		this.#unfitAt = now;
		await this.#giveUp(reason);
		if (!hasLasted) return this.#wait();
		this.#backoff.reset();
		await this.#tryAgain();
	}

	async #giveUp(reason: string): Promise<void> {
		this.#deps.logger.warn("the overlay is opened anew", { reason });
		await this.#end().catch((failure: unknown) =>
			this.#deps.logger.error("the overlay was not closed as it should", { fault: messageOf(failure) }),
		);
	}

	#wait(): void {
		this.#timer = this.#deps.clock.after(this.#backoff.nextMs(), () => void this.#next(() => this.#tryAgain()));
	}

	async #tryAgain(): Promise<void> {
		if (this.#isClosed) return;
		try {
			await this.#open();
		} catch (failure) {
			this.#deps.logger.error("the overlay cannot be opened anew", { fault: messageOf(failure) });
			this.#wait();
		}
	}

	async #end(): Promise<void> {
		const joiner = this.#joiner;
		this.#joiner = null;
		await joiner?.close();
	}

	/** One at a time, in order. */
	#next(action: () => Promise<void>): Promise<void> {
		const done = this.#changing.then(action);
		this.#changing = done.catch(() => {});
		return done;
	}
}
