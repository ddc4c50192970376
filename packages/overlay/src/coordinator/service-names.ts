import type { Clock, Random } from "@warren/kernel";
import type { Schema } from "@warren/store";
import { overlayError } from "../errors.ts";
import { uuidv7 } from "../uuid.ts";
import { coordinatorLimits } from "./limits.ts";

export interface ServiceName {
	readonly name: string;
	readonly uuid: string;
}

/** Where they outlive the process. */
export interface ServiceNameStore {
	serviceNames(): Iterable<ServiceName>;
	saveServiceName(entry: ServiceName): void;
}

/** The same table in a coordinator's own file and in a database of several. */
export const serviceNamesMigration: Schema["migrations"][string] = {
	async up(db) {
		await db.schema
			.createTable("coordinator_service_names")
			.addColumn("name", "text", (column) => column.primaryKey())
			.addColumn("uuid", "text", (column) => column.notNull())
			.execute();
	},
};

/**
 * The UUID of each service, made once per name and kept for good: the overlay's address follows from it, whichever
 * machine serves the name. It outlives the service, for whoever takes the name next.
 */
export class ServiceNames {
	readonly #store: ServiceNameStore | null;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #uuids = new Map<string, string>();

	/** @param store null = in memory: whoever exposes a service brings its UUID back. */
	constructor(store: ServiceNameStore | null, clock: Clock, random: Random) {
		this.#store = store;
		this.#clock = clock;
		this.#random = random;
		for (const { name, uuid } of store?.serviceNames() ?? []) this.#uuids.set(name, uuid);
	}

	has(name: string): boolean {
		return this.#uuids.has(name);
	}

	list(): ServiceName[] {
		return [...this.#uuids].map(([name, uuid]) => ({ name, uuid }));
	}

	/**
	 * @param known what whoever asks knows it by: taken where the name has none yet, else the kept one counts.
	 * @throws WarrenError `exhausted`, `conflict` where another name has that UUID.
	 */
	of(name: string, known: string | null): string {
		const kept = this.#uuids.get(name);
		if (kept !== undefined) return kept;
		if (this.#uuids.size >= coordinatorLimits.maxServiceNames)
			throw overlayError("exhausted", `All ${coordinatorLimits.maxServiceNames} names of services are given out.`, {
				fix: "Take a name that was used before.",
			});
		const uuid = known ?? uuidv7(this.#clock, this.#random);
		const other = [...this.#uuids].find(([, each]) => each === uuid)?.[0];
		if (other !== undefined)
			throw overlayError("conflict", `${uuid} is the UUID of "${other}" already.`, { fix: "Leave it out." });
		this.#store?.saveServiceName({ name, uuid });
		this.#uuids.set(name, uuid);
		return uuid;
	}
}
