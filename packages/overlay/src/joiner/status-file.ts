import { type Clock, type Logger, messageOf, type Timer } from "@warren/kernel";
import type { JoinerFiles } from "./joiner-files.ts";
import { joinerLimits } from "./joiner-options.ts";

/** `status.json`, written every 5 s for whoever asks without reaching the process. */
export class StatusFile<Status> {
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #files: JoinerFiles;
	readonly #status: () => Promise<Status>;
	#timer: Timer | null = null;
	#isClosed = false;

	/** @param status asked before each writing. */
	constructor(deps: { clock: Clock; logger: Logger; files: JoinerFiles }, status: () => Promise<Status>) {
		this.#clock = deps.clock;
		this.#logger = deps.logger;
		this.#files = deps.files;
		this.#status = status;
	}

	start(): void {
		void this.#write()
			.catch((failure: unknown) =>
				this.#logger.warn("the status file could not be written", { fault: messageOf(failure) }),
			)
			.finally(() => {
				if (!this.#isClosed) this.#timer = this.#clock.after(joinerLimits.statusMs, () => this.start());
			});
	}

	close(): void {
		this.#isClosed = true;
		this.#timer?.cancel();
	}

	async #write(): Promise<void> {
		const status = await this.#status();
		if (!this.#isClosed) this.#files.write("status.json", `${JSON.stringify(status, null, "\t")}\n`);
	}
}
