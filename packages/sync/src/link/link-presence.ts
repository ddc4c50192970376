import { type AwarenessEntry, encodeEntries, readAwareness } from "../protocol/index.ts";

/** Ids remembered per direction; a room has fewer clients at a time. */
const maxRemembered = 4_000;

/** Keeps a link from telling either side what that side said: presence would live on after its owner left. */
export class LinkPresence {
	readonly #fromHere = new Set<number>();
	readonly #fromThere = new Set<number>();

	/** @returns what of it goes up, or null. */
	upward(payload: Uint8Array): Uint8Array | null {
		return pass(payload, this.#fromHere, this.#fromThere);
	}

	/** @returns what of it comes down, or null. */
	downward(payload: Uint8Array): Uint8Array | null {
		return pass(payload, this.#fromThere, this.#fromHere);
	}
}

function pass(payload: Uint8Array, own: Set<number>, others: ReadonlySet<number>): Uint8Array | null {
	const entries = readAwareness(payload);
	if (typeof entries === "string") return null;
	const passed: AwarenessEntry[] = entries.filter((entry) => !others.has(entry.client));
	for (const { client } of passed) {
		own.add(client);
		if (own.size > maxRemembered) for (const oldest of [...own].slice(0, own.size - maxRemembered)) own.delete(oldest);
	}
	return passed.length === 0 ? null : encodeEntries(passed);
}
