import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { labelOf } from "@warren/overlay/joiner";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";

/** The joiner writes its status every 5 s: a look that is younger serves. */
const freshMs = 2_000;
/** After this it has missed three rounds: what it wrote is no longer so. */
const staleMs = 15_000;

const statusSchema = z.object({
	updated_at: z.number(),
	peers: z.array(z.object({ ula: z.string(), path: z.string(), display_name: z.string().default("") })),
});
type Peers = z.infer<typeof statusSchema>["peers"];

/** The overlay as the joiner beside this process wrote it last; nobody where none runs. */
export class OverlayView {
	readonly #clock: Clock;
	readonly #file: string;
	#peers: Peers = [];
	#readAt = Number.NEGATIVE_INFINITY;

	constructor({ clock, data }: { readonly clock: Clock; readonly data: DataFolder }) {
		this.#clock = clock;
		this.#file = join(data.path, "overlay", "status.json");
	}

	/** How an address of it is reached. */
	laneOf(address: string): "direct" | "relay" | null {
		const lane = this.#look().find(({ ula }) => canonicalHost(ula) === address)?.path;
		return lane === "direct" || lane === "relay" ? lane : null;
	}

	/** Whether a machine answers to this label below the overlay's domain. */
	isMachine(label: string): boolean {
		return this.#look().some(({ display_name: name }) => labelOf(name) === label);
	}

	#look(): Peers {
		if (this.#clock.monotonic() - this.#readAt > freshMs) {
			this.#readAt = this.#clock.monotonic();
			this.#peers = read(this.#file, this.#clock.now());
		}
		return this.#peers;
	}
}

function read(file: string, now: number): Peers {
	try {
		const status = statusSchema.parse(JSON.parse(readFileSync(file, "utf8")));
		return now - status.updated_at > staleMs ? [] : status.peers;
	} catch {
		// No joiner runs here, or it writes this very moment.
		return [];
	}
}
