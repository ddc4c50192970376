import { WarrenError } from "@warren/kernel";
import type { EdgeDoors } from "../console/edge-doors.ts";
import type { Processes } from "../supervisor/supervised-role.ts";

/** The UUIDs that the coordinator keeps for services' names, as the desk beside it asks for them. */
export class ServiceUuids {
	readonly #doors: Pick<EdgeDoors, "askCoordinator">;
	readonly #processes: Processes | null;

	constructor(doors: Pick<EdgeDoors, "askCoordinator">, processes: Processes | null) {
		this.#doors = doors;
		this.#processes = processes;
	}

	/**
	 * @param known by which the name goes here; kept there where it has none yet.
	 * @returns null while no coordinator can be asked.
	 * @throws WarrenError as the coordinator refuses it.
	 */
	async of(name: string, known: string | null): Promise<string | null> {
		try {
			const { text } = await this.#doors.askCoordinator((coordinator) =>
				coordinator.text(
					"PUT",
					`/v1/services/${encodeURIComponent(name)}`,
					JSON.stringify(known === null ? {} : { uuid: known }),
					{ "content-type": "application/json" },
				),
			);
			return (JSON.parse(text) as { uuid: string }).uuid;
		} catch (failure) {
			if (failure instanceof WarrenError && away.has(failure.code)) return null;
			throw failure;
		}
	}

	/** Called each time a coordinator began to serve; at once where one does. */
	watch(watcher: () => void): void {
		let before: number | null = null;
		const look = () => {
			const row = this.#processes
				?.rows()
				.flatMap(({ roles }) => roles)
				.find(({ name }) => name === "coordinator");
			const since = row?.state === "running" ? row.since : null;
			if (since === before) return;
			before = since;
			if (since !== null) watcher();
		};
		this.#processes?.watch(look);
		look();
	}
}

/** A name gets its address all the same: what was made for it is brought there once it is back. */
const away = new Set(["edge_down", "not_here", "not_running"]);
