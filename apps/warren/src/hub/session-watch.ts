import type { Accounts } from "@warren/accounts";
import {
	type Clock,
	type Closeable,
	closeCodes,
	type Identity,
	type Logger,
	messageOf,
	type Timer,
} from "@warren/kernel";
import type { Listener } from "@warren/net";
import type { Bus } from "@warren/store";

/** While the bus is away, sessions are looked up this often instead of being told of. */
const askEveryMs = 500;

/** Makes good for revocations that an instance could not hear: whoever has something open is looked up. */
export class SessionWatch implements Closeable {
	readonly #accounts: Accounts;
	readonly #listener: Listener;
	readonly #bus: Bus;
	readonly #deps: { readonly clock: Clock; readonly logger: Logger };
	readonly #resumption: Closeable;
	#timer: Timer | undefined;
	#closed = false;

	constructor(
		accounts: Accounts,
		listener: Listener,
		bus: Bus,
		deps: { readonly clock: Clock; readonly logger: Logger },
	) {
		this.#accounts = accounts;
		this.#listener = listener;
		this.#bus = bus;
		this.#deps = deps;
		this.#resumption = bus.onResumed(() => void this.#look());
		this.#arm();
	}

	close(): void {
		this.#closed = true;
		this.#timer?.cancel();
		void this.#resumption.close();
	}

	#arm(): void {
		this.#timer = this.#deps.clock.after(askEveryMs, () => {
			if (this.#bus.connected) return this.#arm();
			void this.#look().finally(() => {
				if (!this.#closed) this.#arm();
			});
		});
	}

	async #look(): Promise<void> {
		const open: Identity[] = [];
		this.#listener.disconnect(
			(who) => {
				open.push(who);
				return false;
			},
			closeCodes.signIn,
			"",
		);
		try {
			await this.#accounts.recheck(open);
		} catch (fault) {
			this.#deps.logger.warn("sessions were not looked up", { fault: messageOf(fault) });
		}
	}
}
