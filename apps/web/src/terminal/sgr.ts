/** Coloured text of tmux's history as runs with a style each. Knows SGR alone; every other escape is dropped. Pure. */
export interface Style {
	/** 0–255 of the palette, `#rrggbb`, or none. */
	readonly fg?: number | string;
	readonly bg?: number | string;
	readonly bold?: true;
	readonly dim?: true;
	readonly italic?: true;
	readonly underline?: true;
	readonly inverse?: true;
	readonly strike?: true;
}

export interface Run {
	readonly text: string;
	readonly style: Style;
}

export const plain: Style = {};

// CSI, OSC (hyperlinks) and two-character escapes; control characters that have no glyph.
// biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what this is about
const escapes =
	/\x1b\[([0-9;:]*)([A-Za-z@`])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[^[\]]|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;

/** @returns the line's runs and the style that the next line begins with. */
export function parseLine(line: string, begin: Style): { runs: Run[]; end: Style } {
	const runs: Run[] = [];
	let style = begin;
	let at = 0;
	const push = (to: number) => {
		if (to > at) runs.push({ text: line.slice(at, to), style });
	};
	for (const match of line.matchAll(escapes)) {
		push(match.index);
		at = match.index + match[0].length;
		if (match[2] === "m") style = applySgr(style, match[1] ?? "");
	}
	push(line.length);
	return { runs, end: style };
}

function applySgr(style: Style, parameters: string): Style {
	const codes = parameters.split(/[;:]/).map((each) => (each === "" ? 0 : Number(each)));
	let next: Record<string, unknown> = { ...style };
	for (let index = 0; index < codes.length; index += 1) {
		const code = codes[index] ?? 0;
		if (code === 0) next = {};
		else if (code === 1) next.bold = true;
		else if (code === 2) next.dim = true;
		else if (code === 3) next.italic = true;
		else if (code === 4) next.underline = true;
		else if (code === 7) next.inverse = true;
		else if (code === 9) next.strike = true;
		else if (code === 22) next = without(next, "bold", "dim");
		else if (code === 23) next = without(next, "italic");
		else if (code === 24) next = without(next, "underline");
		else if (code === 27) next = without(next, "inverse");
		else if (code === 29) next = without(next, "strike");
		else if (code >= 30 && code <= 37) next.fg = code - 30;
		else if (code === 39) next = without(next, "fg");
		else if (code >= 40 && code <= 47) next.bg = code - 40;
		else if (code === 49) next = without(next, "bg");
		else if (code >= 90 && code <= 97) next.fg = code - 90 + 8;
		else if (code >= 100 && code <= 107) next.bg = code - 100 + 8;
		else if (code === 38 || code === 48) {
			const { colour, used } = extendedColour(codes.slice(index + 1));
			if (colour !== undefined) next[code === 38 ? "fg" : "bg"] = colour;
			index += used;
		}
	}
	return next as Style;
}

function extendedColour(codes: readonly number[]): { colour: number | string | undefined; used: number } {
	if (codes[0] === 5) return { colour: byte(codes[1]), used: 2 };
	if (codes[0] !== 2) return { colour: undefined, used: codes.length };
	const [red, green, blue] = [byte(codes[1]), byte(codes[2]), byte(codes[3])];
	if (red === undefined || green === undefined || blue === undefined) return { colour: undefined, used: 4 };
	return { colour: `#${[red, green, blue].map((each) => each.toString(16).padStart(2, "0")).join("")}`, used: 4 };
}

const byte = (value: number | undefined) =>
	value !== undefined && Number.isInteger(value) && value >= 0 && value <= 255 ? value : undefined;

function without(style: Record<string, unknown>, ...keys: string[]): Record<string, unknown> {
	return Object.fromEntries(Object.entries(style).filter(([key]) => !keys.includes(key)));
}
