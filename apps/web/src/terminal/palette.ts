import type { ITheme } from "@xterm/xterm";

/** The terminal's two faces, drawn with the page's own paper, ink and green. */
export const darkTheme: ITheme = {
	background: "#12110f",
	foreground: "#e6e1d8",
	cursor: "#84cd9c",
	cursorAccent: "#12110f",
	selectionBackground: "#84cd9c40",
	black: "#2b2925",
	red: "#e9826f",
	green: "#84cd9c",
	yellow: "#e0bb6a",
	blue: "#86b3e0",
	magenta: "#cf9bd3",
	cyan: "#74c5c4",
	white: "#d5cfc4",
	brightBlack: "#857e72",
	brightRed: "#f5a492",
	brightGreen: "#a5e0b8",
	brightYellow: "#f0d390",
	brightBlue: "#aacdf0",
	brightMagenta: "#e2bbe5",
	brightCyan: "#9cdddc",
	brightWhite: "#faf6ee",
};

export const lightTheme: ITheme = {
	background: "#fdfcf9",
	foreground: "#24221e",
	cursor: "#256b42",
	cursorAccent: "#fdfcf9",
	selectionBackground: "#256b4238",
	black: "#24221e",
	red: "#a2301d",
	green: "#256b42",
	yellow: "#765400",
	blue: "#1f5a96",
	magenta: "#84398a",
	cyan: "#126a6b",
	white: "#6f685c",
	brightBlack: "#736c61",
	brightRed: "#b93f29",
	brightGreen: "#2f7d4f",
	brightYellow: "#876200",
	brightBlue: "#2a6bb0",
	brightMagenta: "#974a9d",
	brightCyan: "#1a7778",
	brightWhite: "#45403a",
};

const named = [
	"black",
	"red",
	"green",
	"yellow",
	"blue",
	"magenta",
	"cyan",
	"white",
	"brightBlack",
	"brightRed",
	"brightGreen",
	"brightYellow",
	"brightBlue",
	"brightMagenta",
	"brightCyan",
	"brightWhite",
] as const;

/** A colour of the 256 as CSS: the theme's sixteen, the 6×6×6 cube, the greys. */
export function cssColour(colour: number | string, theme: ITheme): string {
	if (typeof colour === "string") return colour;
	const name = named[colour];
	if (name !== undefined) return theme[name] ?? "";
	if (colour >= 232) {
		const grey = 8 + (colour - 232) * 10;
		return `rgb(${grey} ${grey} ${grey})`;
	}
	const level = (index: number) => (index === 0 ? 0 : 55 + index * 40);
	const cube = colour - 16;
	return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}
