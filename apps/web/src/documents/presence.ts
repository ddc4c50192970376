import type { Awareness } from "y-protocols/awareness";

/** Somebody who has the document open, as they say of themselves. */
export interface Present {
	readonly clientId: number;
	/** The account; two tabs of one person share it. */
	readonly id: string;
	readonly name: string;
	/** #rrggbb, dark enough for white text in either theme. */
	readonly colour: string;
	readonly self: boolean;
}

/** Distinct by hue, each with white text at 4.5:1 or better. */
const colours = ["#1d6b43", "#8a3a13", "#2457a6", "#7c2f86", "#8a1f4b", "#5b5f00", "#0b6670", "#5a45b0"] as const;
const maxNameLength = 60;

/** A person's colour: the same on every device. */
export function colourOf(id: string): string {
	let hash = 0;
	for (const character of id) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
	return colours[hash % colours.length] ?? colours[0];
}

/** What others wrote is text to show, never more: names are cut, colours are checked. */
export function presentOf(clientId: number, state: unknown, own: number): Present | undefined {
	if (typeof state !== "object" || state === null) return undefined;
	const { user } = state as { user?: unknown };
	if (typeof user !== "object" || user === null) return undefined;
	const { id, name, color } = user as Record<string, unknown>;
	if (typeof name !== "string" || name.trim() === "") return undefined;
	const known = typeof id === "string" ? id : name;
	return {
		clientId,
		id: known,
		name: name.trim().slice(0, maxNameLength),
		colour: typeof color === "string" && /^#[0-9a-f]{6}$/i.test(color) ? color : colourOf(known),
		self: clientId === own,
	};
}

/** Everybody in the room once: a person with several tabs, or this one in another tab, counts as one. */
export function presentIn(awareness: Awareness): Present[] {
	const people = new Map<string, Present>();
	for (const [clientId, state] of awareness.getStates()) {
		const present = presentOf(clientId, state, awareness.clientID);
		if (present !== undefined && (present.self || !people.has(present.id))) people.set(present.id, present);
	}
	return [...people.values()].sort((a, b) => Number(b.self) - Number(a.self) || a.name.localeCompare(b.name));
}

export function initialsOf(name: string): string {
	const words = name.split(/\s+/).filter(Boolean);
	const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
	return letters
		.map((word) => [...(word ?? "")][0] ?? "")
		.join("")
		.toUpperCase();
}
