import {
	Backoff,
	type Clock,
	type Closeable,
	type Condition,
	type HealthTable,
	Lifetime,
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
	/** Its own conditions: told with its row. */
	readonly health?: HealthTable;
}

const retry = { firstMs: 1_000, maxMs: 60_000 };
/** Of a role, told to the other processes; the worst come first. */
export const maxConditions = 100;

/** Several roles of one process: one that cannot start is shown and tried again, ever later; the others go on. */
export class RoleSlots implements Closeable {
	readonly #deps: RoleSlotsDeps;
	readonly #slots: Slot[] = [];
	readonly #lifetime = new Lifetime();

	constructor(deps: RoleSlotsDeps) {
		this.#deps = deps;
	}

	/** Resolves when it runs, or has failed once. */
	start(name: string, open: () => Promise<OpenedRole>): Promise<void> {
		const slot = this.#lifetime.own(new Slot(name, open, this.#deps));
		this.#slots.push(slot);
		return slot.try();
	}

	rows(): readonly RoleRow[] {
		return this.#slots.map(({ row, conditions }) => (conditions.length === 0 ? row : { ...row, conditions }));
	}

	/** Last first. @throws AggregateError when any close failed, after all were tried. */
	close(): Promise<void> {
		return this.#lifetime.close();
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
	#unwatch: () => void = () => {};
	row: RoleRow;

	constructor(name: string, open: () => Promise<OpenedRole>, deps: RoleSlotsDeps) {
		this.#open = open;
		this.#deps = deps;
		this.#backoff = new Backoff(retry, deps.random);
		this.row = { name, state: "restarting", since: deps.clock.now() };
	}

	get conditions(): readonly Condition[] {
		return this.#role?.health?.list().slice(0, maxConditions) ?? [];
	}

	try(): Promise<void> {
		this.#trying = this.#tryNow();
		return this.#trying;
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		await this.#trying;
		this.#unwatch();
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
			this.#unwatch = this.#role.health?.watch(onChange) ?? this.#unwatch;
		} catch (failure) {
			const fix = failure instanceof WarrenError ? failure.fix : "";
			const error = `${messageOf(failure)}${fix === "" ? "" : ` ${fix}`}`;
			if (this.row.error !== error) logger.error("a role cannot start", { role: name, fault: error });
			this.row = { name, state: "restarting", since: this.row.since, error };
			if (!this.#closed) this.#timer = clock.after(this.#backoff.nextMs(), () => void this.try());
		}
		onChange();
	}
}
