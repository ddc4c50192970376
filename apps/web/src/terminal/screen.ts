import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { type ITheme, Terminal } from "@xterm/xterm";
import { loadChunk } from "../chunks/load-chunk.ts";
import { adoptTerminalStyles } from "./adopted-styles.ts";
import { keepAlternateScreen } from "./alternate-screen.ts";

/** xterm as this product sets it up: no decision about the connection lives here. */
export interface Screen {
	readonly terminal: Terminal;
	/** Columns and rows that fit the host element now. */
	fitting(): { cols: number; rows: number };
	close(): void;
}

export interface ScreenOptions {
	readonly fontSize: number;
	readonly theme: ITheme;
	readonly light: boolean;
	readonly screenReader: boolean;
	/** Finger instead of mouse: the DOM renderer, whose text a phone can select. */
	readonly coarse: boolean;
	onLink(url: string): void;
	onClipboard(text: string): void;
}

const fontFamily = '"JetBrains Mono Variable", ui-monospace, monospace';
/** Longest text that a program may put on the clipboard (OSC 52), characters of base64. */
const maxClipboardLength = 400_000;
const fontWaitMs = 1500;

/** Waits for all that it needs before it shows anything: nobody types into a screen that does not listen yet. */
export async function openScreen(host: HTMLElement, options: ScreenOptions): Promise<Screen> {
	adoptTerminalStyles();
	const [useGpu] = await Promise.all([
		options.coarse ? null : loadGpu(),
		Promise.race([
			document.fonts.load(`${options.fontSize}px "JetBrains Mono Variable"`),
			new Promise((resolve) => setTimeout(resolve, fontWaitMs)),
		]),
	]);
	const terminal = new Terminal({
		allowProposedApi: true,
		cursorBlink: false,
		fontFamily,
		fontSize: options.fontSize,
		lineHeight: 1.18,
		// tmux keeps the scrollback (HistoryPanel); a second one here would only take width for its bar.
		scrollback: 0,
		theme: options.theme,
		// A light screen makes many programs' colours unreadable; dark ones were chosen for dark screens.
		minimumContrastRatio: options.light ? 4.5 : 2,
		screenReaderMode: options.screenReader,
		macOptionIsMeta: true,
		linkHandler: { activate: (_event, uri) => openLink(uri, options), allowNonHttpProtocols: false },
	});
	const fit = new FitAddon();
	terminal.loadAddon(fit);
	terminal.loadAddon(new Unicode11Addon());
	terminal.unicode.activeVersion = "11";
	terminal.loadAddon(new WebLinksAddon((_event, uri) => openLink(uri, options)));
	terminal.parser.registerOscHandler(52, (data) => takeClipboard(data, options));
	keepAlternateScreen(terminal);
	terminal.open(host);
	useGpu?.(terminal);

	return {
		terminal,
		fitting() {
			const proposed = fit.proposeDimensions();
			return {
				cols: Math.min(1000, Math.max(2, proposed?.cols || 80)),
				rows: Math.min(1000, Math.max(1, proposed?.rows || 24)),
			};
		},
		close: () => terminal.dispose(),
	};
}

function openLink(uri: string, options: ScreenOptions): void {
	if (/^https?:\/\//i.test(uri)) options.onLink(uri);
}

/** Takes a write to the clipboard; a program that asks to read it gets nothing. */
function takeClipboard(data: string, options: ScreenOptions): boolean {
	const encoded = data.slice(data.indexOf(";") + 1);
	if (encoded === "?" || encoded.length > maxClipboardLength) return true;
	try {
		const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
		options.onClipboard(new TextDecoder().decode(bytes));
	} catch {
		// No base64: the program's mistake, and nothing to copy.
	}
	return true;
}

/** @returns what has a terminal drawn by the graphics card, where there is one. */
async function loadGpu(): Promise<((terminal: Terminal) => void) | null> {
	const noGpu = (failure: unknown) => console.info("warren: no WebGL here, drawing with the DOM", failure);
	try {
		const { WebglAddon } = await loadChunk(() => import("@xterm/addon-webgl"));
		return (terminal) => {
			try {
				const addon = new WebglAddon();
				// Without the addon xterm falls back to its DOM renderer.
				addon.onContextLoss(() => addon.dispose());
				terminal.loadAddon(addon);
			} catch (failure) {
				noGpu(failure);
			}
		};
	} catch (failure) {
		noGpu(failure);
		return null;
	}
}
