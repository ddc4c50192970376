import type { ViewerMode } from "@warren/terminal/protocol";
import { type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { t } from "../pages/text/terminal.ts";
import { fontSizes, setPreferences, useDark, usePreferences } from "../shell/preferences.ts";
import { copyText } from "../ui/copyable.tsx";
import { toast } from "../ui/toast.tsx";
import { watchGestures } from "./gestures.ts";
import { applyModifiers, type BarKey, encodeKey, encodePaste, type Modifiers, noModifiers } from "./keys.ts";
import { darkTheme, lightTheme } from "./palette.ts";
import { openScreen, type Screen } from "./screen.ts";
import { openStream, type Stream, type StreamState } from "./stream.ts";

export const isCoarse = matchMedia("(pointer: coarse)").matches;

export interface TerminalOptions {
	readonly host: RefObject<HTMLDivElement | null>;
	open(): Promise<WebSocket>;
	readonly mode: ViewerMode;
	/** Modifiers held on the key bar; asked at each key, and told when one was used. */
	readonly modifiers: RefObject<Modifiers>;
	onModifiersUsed(): void;
	onScrollBack(): void;
	/** Whether a shell waits in the active pane: a finger's swipe then opens the scrollback, and not tmux's own mode. */
	atShell(): boolean;
	onTap(): void;
	onLink(url: string): void;
	onRenamed?(name: string): void;
	/** Of several in view the one that keys go to. Yes unless told. */
	readonly focused?: boolean;
}

export interface TerminalControls {
	type(text: string): void;
	/** One paste, bracketed when the program knows it, then Enter when asked for. */
	paste(text: string, enter: boolean): void;
	press(key: BarKey, modifiers: Modifiers): void;
	focus(): void;
	copySelection(): boolean;
	repaint(): void;
	retry(): void;
}

export interface TerminalView {
	readonly state: StreamState;
	readonly controls: TerminalControls;
	readonly roundTripMs: number | undefined;
	readonly readOnly: boolean;
	readonly size: { readonly cols: number; readonly rows: number } | undefined;
	readonly theme: typeof darkTheme;
	readonly light: boolean;
	readonly hasSelection: boolean;
}

interface Live {
	readonly screen: Screen;
	readonly stream: Stream;
	layout(): void;
	watching(): boolean;
}

const encoder = new TextEncoder();
const maxEarlyKeys = 1000;

/** Joins one screen and one stream for as long as the page is open. */
export function useTerminal(options: TerminalOptions): TerminalView {
	const { terminalFontSize, terminalTheme, screenReader } = usePreferences();
	const pageDark = useDark();
	const light = terminalTheme === "light" || (terminalTheme === "match" && !pageDark);
	const theme = light ? lightTheme : darkTheme;
	const [state, setState] = useState<StreamState>({ phase: "connecting" });
	const [roundTripMs, setRoundTrip] = useState<number>();
	const [mayType, setGranted] = useState(true);
	const granted = useRef(true);
	const [size, setSize] = useState<{ cols: number; rows: number }>();
	const [hasSelection, setHasSelection] = useState(false);
	const live = useRef<Live | undefined>(undefined);
	/** Keys of the bar and lines of the compose field, from before the screen was there. */
	const early = useRef<((to: Live) => void)[]>([]);
	const latest = useRef(options);
	latest.current = options;
	const fontSize = useRef(terminalFontSize);
	fontSize.current = terminalFontSize;
	const remote = useRef<{ cols: number; rows: number } | undefined>(undefined);

	// biome-ignore lint/correctness/useExhaustiveDependencies: one screen a page; what changes is applied below
	useEffect(() => {
		const host = options.host.current;
		if (host === null) return;
		let gone = false;
		const closers: (() => void)[] = [];

		void openScreen(host, {
			fontSize: fontSize.current,
			theme,
			light,
			screenReader,
			coarse: isCoarse,
			onLink: (url) => latest.current.onLink(url),
			onClipboard: (text) => void copyText(text),
		}).then((screen) => {
			if (gone) return screen.close();
			const { terminal } = screen;
			const first = screen.fitting();
			terminal.resize(first.cols, first.rows);
			const stream = openStream({
				open: () => latest.current.open(),
				write: (bytes, parsed) => terminal.write(bytes, parsed),
				reset({ reason, missedBytes }) {
					// A full reset in the stream of writes, so that it comes after what was written before.
					terminal.write("\x1bc");
					if (reason !== "reattached" && missedBytes !== null && missedBytes > 0) {
						toast.add({ title: t.gapTitle, description: t.gap, type: "info" });
					}
				},
				...first,
				mode: latest.current.mode,
				onState: setState,
				onWelcome(welcome) {
					remote.current = { cols: welcome.cols, rows: welcome.rows };
					granted.current = !welcome.readOnly;
					setGranted(!welcome.readOnly);
					layout();
				},
				onEvent(event) {
					if (event.type === "size") {
						remote.current = { cols: event.cols, rows: event.rows };
						layout();
					}
					if (event.type === "renamed") latest.current.onRenamed?.(event.name);
				},
				onInputLost: tellLost,
				onRoundTrip: setRoundTrip,
			});

			function layout() {
				const { mode } = latest.current;
				terminal.options.fontSize = fontSize.current;
				const fitting = screen.fitting();
				const other = remote.current;
				if (mode === "fit" || other === undefined) {
					if (fitting.cols !== terminal.cols || fitting.rows !== terminal.rows)
						terminal.resize(fitting.cols, fitting.rows);
					if (mode === "fit") stream.resize(fitting.cols, fitting.rows, mode);
				} else {
					// The other screen's size, drawn as small as it must be to fit the width; what is still too tall pans.
					const scale = Math.min(1, fitting.cols / other.cols);
					terminal.options.fontSize = Math.max(fontSizes.min - 2, Math.floor(fontSize.current * scale * 2) / 2);
					if (other.cols !== terminal.cols || other.rows !== terminal.rows) terminal.resize(other.cols, other.rows);
					stream.resize(fitting.cols, fitting.rows, mode);
				}
				setSize({ cols: terminal.cols, rows: terminal.rows });
			}

			const watching = () => !granted.current || latest.current.mode === "read-only";
			const opened: Live = { screen, stream, layout, watching };
			live.current = opened;
			for (const key of early.current.splice(0)) key(opened);
			closers.push(
				() => stream.close(),
				() => screen.close(),
			);

			const send = (text: string) => {
				// Answers to the program's queries and focus reports come from xterm itself, in a read-only view too.
				if (watching()) return;
				if (!stream.type(encoder.encode(text))) toast.add({ title: t.fullTitle, description: t.full, type: "error" });
			};
			terminal.onData((data) => {
				const held = latest.current.modifiers.current ?? noModifiers;
				if (held.ctrl || held.alt) latest.current.onModifiersUsed();
				send(applyModifiers(data, held));
			});
			terminal.onBinary((data) => {
				if (!watching()) stream.type(Uint8Array.from(data, (character) => character.charCodeAt(0)));
			});
			terminal.onSelectionChange(() => setHasSelection(terminal.hasSelection()));
			terminal.attachCustomKeyEventHandler((event) => {
				if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
				if (event.code === "KeyC" && terminal.hasSelection()) {
					void copyText(terminal.getSelection());
					event.preventDefault();
					return false;
				}
				if (event.code === "KeyF") {
					latest.current.onScrollBack();
					event.preventDefault();
					return false;
				}
				// The browser's own paste, which arrives as a paste event.
				return event.code !== "KeyV";
			});
			const takesMouse = () => terminal.modes.mouseTrackingMode !== "none";
			terminal.attachCustomWheelEventHandler((event) => {
				if (takesMouse() || event.shiftKey) return true;
				// On tmux's screen xterm would send arrow keys, which walk through the shell's history of commands.
				if (event.deltaY < 0) latest.current.onScrollBack();
				return false;
			});

			const observer = new ResizeObserver(() => requestAnimationFrame(() => !gone && layout()));
			observer.observe(host);
			closers.push(() => observer.disconnect());

			if (isCoarse) {
				let pinchFrom = fontSize.current;
				let pinching = false;
				closers.push(
					watchGestures(host, {
						onScroll(lines) {
							// In tmux's own scroll mode the next line that is sent would be taken for its commands.
							if (!takesMouse() || (lines > 0 && latest.current.atShell())) {
								if (lines > 0) latest.current.onScrollBack();
								return;
							}
							const wheel = { deltaY: -lines, deltaMode: WheelEvent.DOM_DELTA_LINE, bubbles: true, cancelable: true };
							const { left, top, width, height } = host.getBoundingClientRect();
							terminal.element
								?.querySelector(".xterm-screen")
								?.dispatchEvent(
									new WheelEvent("wheel", { ...wheel, clientX: left + width / 2, clientY: top + height / 2 }),
								);
						},
						onPinch(ratio, ended) {
							if (!pinching) pinchFrom = fontSize.current;
							pinching = !ended;
							const wanted = Math.round(Math.min(fontSizes.max, Math.max(fontSizes.min, pinchFrom * ratio)));
							if (wanted !== fontSize.current) setPreferences({ terminalFontSize: wanted });
						},
						onLongPress: () => latest.current.onScrollBack(),
						onTap: () => latest.current.onTap(),
					}),
				);
			} else if (latest.current.focused !== false) {
				terminal.focus();
			}

			const wake = () => {
				if (document.visibilityState !== "visible") return;
				stream.probe();
				stream.repaint();
				terminal.refresh(0, terminal.rows - 1);
			};
			const online = () => stream.probe();
			document.addEventListener("visibilitychange", wake);
			addEventListener("pageshow", wake);
			addEventListener("online", online);
			closers.push(() => {
				document.removeEventListener("visibilitychange", wake);
				removeEventListener("pageshow", wake);
				removeEventListener("online", online);
			});
		});

		return () => {
			gone = true;
			live.current = undefined;
			if (early.current.splice(0).length > 0) tellLost();
			for (const close of closers) close();
		};
	}, []);

	useEffect(() => {
		const terminal = live.current?.screen.terminal;
		if (terminal === undefined) return;
		terminal.options.theme = theme;
		terminal.options.minimumContrastRatio = light ? 4.5 : 2;
		terminal.options.screenReaderMode = screenReader;
	}, [theme, light, screenReader]);

	// biome-ignore lint/correctness/useExhaustiveDependencies: what changes the layout
	useEffect(() => live.current?.layout(), [terminalFontSize, options.mode]);

	// Told that it has the focus, unless something of its own, a field over it, has it already.
	useEffect(() => {
		if (options.focused !== true || isCoarse) return;
		const page = options.host.current?.closest(".pane");
		if (page?.contains(document.activeElement) !== true) live.current?.screen.terminal.focus();
	}, [options.focused, options.host]);

	const controls = useMemo<TerminalControls>(() => {
		const send = (textFor: (to: Live) => string) => {
			const key = (to: Live) => {
				if (!to.watching()) to.stream.type(encoder.encode(textFor(to)));
			};
			if (live.current !== undefined) key(live.current);
			else if (early.current.length < maxEarlyKeys) early.current.push(key);
			else tellLost();
		};
		return {
			type: (text) => send(() => text),
			paste: (text, enter) =>
				send(({ screen }) => {
					const pasted = text === "" ? "" : encodePaste(text, screen.terminal.modes.bracketedPasteMode);
					return enter ? `${pasted}\r` : pasted;
				}),
			press: (key, modifiers) =>
				send(({ screen }) => encodeKey(key, modifiers, screen.terminal.modes.applicationCursorKeysMode)),
			focus: () => live.current?.screen.terminal.focus(),
			copySelection() {
				const terminal = live.current?.screen.terminal;
				if (!terminal?.hasSelection()) return false;
				void copyText(terminal.getSelection());
				return true;
			},
			repaint: () => live.current?.stream.repaint(),
			retry: () => live.current?.stream.probe(),
		};
	}, []);

	const readOnly = !mayType || options.mode === "read-only";
	return { state, controls, roundTripMs, readOnly, size, theme, light, hasSelection };
}

function tellLost(): void {
	toast.add({ title: t.inputLostTitle, description: t.inputLost, type: "error" });
}
