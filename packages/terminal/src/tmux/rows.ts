import { FieldReader, field } from "./fields.ts";
import { readStatusLines } from "./snapshot.ts";

/** tmux's own numbers, with their sigils: what every command is addressed by. Names match by prefix and by glob. */
export type SessionNumber = `$${number}`;
export type WindowNumber = `@${number}`;
export type PaneNumber = `%${number}`;

export interface TmuxSession {
	readonly number: SessionNumber;
	readonly name: string;
	readonly windows: number;
	readonly attached: number;
	/** Seconds since the Unix epoch. */
	readonly createdUnix: number;
	readonly activityUnix: number;
	readonly bell: boolean;
	/** Of the active pane. */
	readonly pane: PaneNumber;
	readonly command: string;
	readonly cwd: string;
	readonly width: number;
	readonly height: number;
	/** Lines that the status line takes from a client. */
	readonly statusLines: number;
}

export interface TmuxWindow {
	readonly number: WindowNumber;
	readonly index: number;
	readonly name: string;
	readonly active: boolean;
	readonly zoomed: boolean;
	readonly bell: boolean;
	readonly panes: readonly TmuxPane[];
}

export interface TmuxPane {
	readonly number: PaneNumber;
	readonly index: number;
	readonly active: boolean;
	readonly command: string;
	readonly cwd: string;
	readonly width: number;
	readonly height: number;
	readonly title: string;
}

/**
 * Of a pane: where what it runs is; until its shell is in the foreground tmux can't tell, and it is where the pane began.
 * Before 3.3 tmux keeps that of a session alone.
 */
const folderFields = ["pane_current_path", "pane_start_path", "session_path"];

/** The same for tmux itself to fill in. An empty one would be this process's own. */
export const paneFolder = folderFields.reduceRight((others, name) => `#{?${name},#{${name}},${others}}`, "");

function readFolder(reader: FieldReader): string {
	const folders = folderFields.map(() => reader.text());
	return folders.find((folder) => folder !== "") ?? "";
}

export const sessionFormat = [
	"session_id",
	"session_name",
	"session_windows",
	"session_attached",
	"session_created",
	"session_activity",
	"pane_id",
	"pane_current_command",
	...folderFields,
	"window_width",
	"window_height",
	"status",
	// Any window's.
	"W:#{window_bell_flag}",
]
	.map(field)
	.join("");

export function readSession(reader: FieldReader): TmuxSession {
	const number = reader.text() as SessionNumber;
	const name = reader.text();
	const windows = reader.number();
	const attached = reader.number();
	const createdUnix = reader.number();
	const activityUnix = reader.number();
	const pane = reader.text() as PaneNumber;
	const command = reader.text();
	const cwd = readFolder(reader);
	const width = reader.number();
	const height = reader.number();
	const status = reader.text();
	const bell = reader.text().includes("1");
	const statusLines = readStatusLines(status);
	return {
		number,
		name,
		windows,
		attached,
		createdUnix,
		activityUnix,
		bell,
		pane,
		command,
		cwd,
		width,
		height,
		statusLines,
	};
}

export const paneFormat = [
	"window_id",
	"window_index",
	"window_name",
	"window_active",
	"window_zoomed_flag",
	"window_bell_flag",
	"pane_id",
	"pane_index",
	"pane_active",
	"pane_current_command",
	...folderFields,
	"pane_width",
	"pane_height",
	"pane_title",
]
	.map(field)
	.join("");

interface PaneRow {
	readonly window: Omit<TmuxWindow, "panes">;
	readonly pane: TmuxPane;
}

export function readPane(reader: FieldReader): PaneRow {
	return {
		window: {
			number: reader.text() as WindowNumber,
			index: reader.number(),
			name: reader.text(),
			active: reader.number() === 1,
			zoomed: reader.number() === 1,
			bell: reader.number() === 1,
		},
		pane: {
			number: reader.text() as PaneNumber,
			index: reader.number(),
			active: reader.number() === 1,
			command: reader.text(),
			cwd: readFolder(reader),
			width: reader.number(),
			height: reader.number(),
			title: reader.text(),
		},
	};
}

export function groupPanes(rows: readonly PaneRow[]): TmuxWindow[] {
	const windows = new Map<WindowNumber, Omit<TmuxWindow, "panes"> & { panes: TmuxPane[] }>();
	for (const { window, pane } of rows) {
		const known = windows.get(window.number);
		if (known === undefined) windows.set(window.number, { ...window, panes: [pane] });
		else known.panes.push(pane);
	}
	return [...windows.values()];
}

export function readAll<T>(text: string, read: (reader: FieldReader) => T): T[] {
	const rows: T[] = [];
	const reader = new FieldReader(text);
	while (!reader.done) rows.push(read(reader));
	return rows;
}
