import {
	Backoff,
	type Clock,
	type Closeable,
	type Logger,
	messageOf,
	type Random,
	type Timer,
	WarrenError,
} from "@warren/kernel";
import type { RoleRow } from "../node/role-part.ts";

export interface RoleSlotsDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly onChange: () => void;
}

/** What a slot holds; `ready` as a role of its own command would print it. */
export interface OpenedRole extends Closeable {
	readonly ready?: { readonly port?: number } | object;
}

const retry = { firstMs: 1_000, maxMs: 60_000 };
/** How long the roles of a machine may take to find each other, after a start on a slow one. */
const startingMs = 30_000;

/** Several roles of one process: one that cannot start is shown and tried again, ever later; the others go on. */
export class RoleSlots implements Closeable {
	readonly #deps: RoleSlotsDeps;
	readonly #slots: Slot[] = [];

	constructor(deps: RoleSlotsDeps) {
		this.#deps = deps;
	}

	/** Resolves when it runs, or has failed once. */
	start(name: string, open: () => Promise<OpenedRole>): Promise<void> {
		const slot = new Slot(name, open, this.#deps);
		this.#slots.push(slot);
		return slot.try();
	}

	rows(): readonly RoleRow[] {
		return this.#slots.map((slot) => slot.row);
	}

	async close(): Promise<void> {
		for (const slot of [...this.#slots].reverse()) await slot.close();
	}
}

class Slot implements Closeable {
	readonly #open: () => Promise<OpenedRole>;
	readonly #deps: RoleSlotsDeps;
	readonly #backoff: Backoff;
	#role: OpenedRole | null = null;
	#timer: Timer | undefined;
	#trying: Promise<void> = Promise.resolve();
	#closed = false;
	/** The failure that was written to the log last. */
	#said: string | null = null;
	row: RoleRow;

	constructor(name: string, open: () => Promise<OpenedRole>, deps: RoleSlotsDeps) {
		this.#open = open;
		this.#deps = deps;
		this.#backoff = new Backoff(retry, deps.random);
		this.row = { name, state: "restarting", since: deps.clock.now() };
	}

	try(): Promise<void> {
		this.#trying = this.#tryNow();
		return this.#trying;
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		await this.#trying;
		await this.#role?.close();
	}

	async #tryNow(): Promise<void> {
		const { clock, logger, onChange } = this.#deps;
		const { name } = this.row;
		try {
			this.#role = await this.#open();
			const { ready } = this.#role;
			const port = ready !== undefined && "port" in ready && typeof ready.port === "number" ? { port: ready.port } : {};
			this.row = { name, state: "running", since: clock.now(), ...port };
		} catch (failure) {
			const fix = failure instanceof WarrenError ? failure.fix : "";
			const error = `${messageOf(failure)}${fix === "" ? "" : ` ${fix}`}`;
			// What it waits for may be starting beside it: tries that came too early are nobody's news.
			const isEarly = failure instanceof WarrenError && failure.retryable && clock.now() - this.row.since < startingMs;
			if (!isEarly && this.#said !== error) {
				this.#said = error;
				logger.error("a role cannot start", { role: name, fault: error });
			}
			this.row = { name, state: "restarting", since: this.row.since, error };
			if (!this.#closed) this.#timer = clock.after(this.#backoff.nextMs(), () => void this.try());
		}
		onChange();
	}
}
