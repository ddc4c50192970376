import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";

/** The joiner writes its status every 5 s: a look that is younger serves. */
const freshMs = 2_000;
/** After this it has missed three rounds: what it wrote is no longer so. */
const staleMs = 15_000;

const statusSchema = z.object({
	updated_at: z.number(),
	peers: z.array(z.object({ ula: z.string(), path: z.string() })),
});

/** How the overlay reaches each of its addresses, as the joiner beside this process wrote it last. */
export function overlayLanes({ clock, data }: { readonly clock: Clock; readonly data: DataFolder }) {
	const file = join(data.path, "overlay", "status.json");
	let lanes = new Map<string, string>();
	let readAt = Number.NEGATIVE_INFINITY;
	return (address: string): "direct" | "relay" | null => {
		if (clock.monotonic() - readAt > freshMs) {
			readAt = clock.monotonic();
			lanes = read(file, clock.now());
		}
		const lane = lanes.get(address);
		return lane === "direct" || lane === "relay" ? lane : null;
	};
}

function read(file: string, now: number): Map<string, string> {
	try {
		const status = statusSchema.parse(JSON.parse(readFileSync(file, "utf8")));
		if (now - status.updated_at > staleMs) return new Map();
		return new Map(status.peers.map(({ ula, path }) => [canonicalHost(ula), path]));
	} catch {
		// No joiner runs here, or it writes this very moment.
		return new Map();
	}
}
