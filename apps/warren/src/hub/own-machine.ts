import { type MachineFacts, machineLimits } from "@warren/accounts";
import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";

export interface OwnMachineDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	/** Puts it on the hub's list. */
	readonly register: (facts: MachineFacts) => Promise<void>;
}

/**
 * The hub's own machine on the hub's list, told anew when it is called or reached otherwise: addresses come and go while
 * it runs, the overlay's among them.
 */
export class OwnMachine implements Closeable {
	readonly #deps: OwnMachineDeps;
	readonly #facts: () => MachineFacts;
	#told = "";
	#timer: Timer | undefined;
	#telling: Promise<void> = Promise.resolve();
	#closed = false;

	private constructor(deps: OwnMachineDeps, facts: () => MachineFacts) {
		this.#deps = deps;
		this.#facts = facts;
	}

	/** @param facts asked at each heartbeat. @throws what `register` throws, the first time. */
	static async open(deps: OwnMachineDeps, facts: () => MachineFacts): Promise<OwnMachine> {
		const machine = new OwnMachine(deps, facts);
		await machine.#tell();
		machine.#arm();
		return machine;
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		await this.#telling;
	}

	#arm(): void {
		if (this.#closed) return;
		this.#timer = this.#deps.clock.after(machineLimits.heartbeatMs, () => {
			this.#telling = this.#tell()
				.catch((fault: unknown) =>
					this.#deps.logger.warn("this machine's addresses were not told; it is tried again", {
						fault: messageOf(fault),
					}),
				)
				.then(() => this.#arm());
		});
	}

	async #tell(): Promise<void> {
		const facts = this.#facts();
		const text = JSON.stringify(facts);
		if (text === this.#told) return;
		await this.#deps.register(facts);
		this.#told = text;
	}
}
