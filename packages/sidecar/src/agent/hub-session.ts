import { type Clock, equalSecrets } from "@warren/kernel";

/** The person's session at the hub, as their windows last showed it. Held here alone: the agent never sees it. */
export class HubSession {
	readonly #clock: Clock;
	readonly #waiting = new Set<(token: string) => void>();
	#token: string;
	#ended = false;

	constructor(clock: Clock, token: string) {
		this.#clock = clock;
		this.#token = token;
	}

	get token(): string {
		return this.#token;
	}

	/** Whether the hub said that this session has ended, and no other was shown since. */
	get ended(): boolean {
		return this.#ended;
	}

	refresh(token: string): void {
		if (equalSecrets(token, this.#token)) return;
		this.#token = token;
		this.#ended = false;
		for (const settle of [...this.#waiting]) settle(token);
	}

	/** The hub refused `token`. @returns a newer one, at once or when a window shows it in time; else null. */
	async afterRefusal(token: string, waitMs: number): Promise<string | null> {
		if (!equalSecrets(token, this.#token)) return this.#token;
		this.#ended = true;
		return new Promise((resolve) => {
			const settle = (next: string | null) => {
				this.#waiting.delete(settle);
				late.cancel();
				resolve(next);
			};
			const late = this.#clock.after(waitMs, () => settle(null));
			this.#waiting.add(settle);
		});
	}
}
