/** What the key bar's keys and sticky modifiers send, as xterm encodes them. Pure. */
export type BarKey =
	| "escape"
	| "tab"
	| "enter"
	| "backspace"
	| "up"
	| "down"
	| "left"
	| "right"
	| "home"
	| "end"
	| "page-up"
	| "page-down";

export interface Modifiers {
	readonly ctrl: boolean;
	readonly alt: boolean;
}

export const noModifiers: Modifiers = { ctrl: false, alt: false };

const esc = "\x1b";
const cursorFinals: Partial<Record<BarKey, string>> = {
	up: "A",
	down: "B",
	right: "C",
	left: "D",
	home: "H",
	end: "F",
};
const tildeNumbers: Partial<Record<BarKey, number>> = { "page-up": 5, "page-down": 6 };

/** @param applicationCursor DECCKM, as the program in the terminal has set it. */
export function encodeKey(key: BarKey, modifiers: Modifiers, applicationCursor: boolean): string {
	const parameter = 1 + (modifiers.alt ? 2 : 0) + (modifiers.ctrl ? 4 : 0);
	const final = cursorFinals[key];
	if (final !== undefined) {
		if (parameter > 1) return `${esc}[1;${parameter}${final}`;
		return `${esc}${applicationCursor ? "O" : "["}${final}`;
	}
	const number = tildeNumbers[key];
	if (number !== undefined) return parameter > 1 ? `${esc}[${number};${parameter}~` : `${esc}[${number}~`;
	const plain = key === "escape" ? esc : key === "tab" ? "\t" : key === "enter" ? "\r" : modifiers.ctrl ? "\b" : "\x7f";
	return modifiers.alt ? esc + plain : plain;
}

/** Typed text with sticky modifiers held down: one character takes them, more than one is a paste and does not. */
export function applyModifiers(text: string, modifiers: Modifiers): string {
	if ([...text].length !== 1) return text;
	const key = modifiers.ctrl ? controlOf(text) : text;
	return modifiers.alt ? esc + key : key;
}

/** Ctrl with a character: the C0 code that terminals send for it, else the character itself. */
function controlOf(character: string): string {
	if (character === " " || character === "2") return "\0";
	if (character === "?" || character === "8") return "\x7f";
	if (character === "/") return "\x1f";
	if (/^[3-7]$/.test(character)) return String.fromCharCode(Number(character) - 3 + 0x1b);
	const code = character.toUpperCase().charCodeAt(0);
	return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code & 0x1f) : character;
}

/**
 * Text as one paste. Line ends become what Enter sends; a pasted end-of-paste mark cannot end the paste early.
 * @param bracketed mode 2004, as the program has set it.
 */
export function encodePaste(text: string, bracketed: boolean): string {
	const lines = text.replace(/\r?\n/g, "\r");
	if (!bracketed) return lines;
	let safe = lines;
	// Taking one mark out may join the halves of another.
	while (safe.includes(`${esc}[201~`)) safe = safe.replaceAll(`${esc}[201~`, "");
	return `${esc}[200~${safe}${esc}[201~`;
}

/** A sticky key: a tap holds it for the next key, a second tap until a third. */
export type Sticky = "off" | "once" | "locked";

export function tapSticky(state: Sticky): Sticky {
	return state === "off" ? "once" : state === "once" ? "locked" : "off";
}

export function afterKey(state: Sticky): Sticky {
	return state === "once" ? "off" : state;
}
