import { FieldReader, field } from "./fields.ts";
import type { PaneNumber, SessionNumber, WindowNumber } from "./rows.ts";

/** Everything of a tmux server that an event can be made of. */
export type Snapshot = ReadonlyMap<SessionNumber, SessionState>;

export interface SessionState {
	readonly name: string;
	/** Lines that the status line takes from a client. */
	readonly statusLines: number;
	readonly windows: ReadonlyMap<WindowNumber, WindowState>;
}

export interface WindowState {
	readonly name: string;
	readonly active: boolean;
	readonly zoomed: boolean;
	readonly bell: boolean;
	/** Bells ever rung here, as our own server's hook counts them; 0 on other servers. */
	readonly bells: number;
	readonly width: number;
	readonly height: number;
	readonly panes: ReadonlyMap<PaneNumber, PaneState>;
}

export interface PaneState {
	readonly active: boolean;
	readonly command: string;
}

const paneFields = ["pane_id", "pane_active", "pane_current_command"].map(field).join("");
const windowFields = [
	"window_id",
	"window_name",
	"window_active",
	"window_zoomed_flag",
	"window_bell_flag",
	"@warren_bells",
	"window_width",
	"window_height",
]
	.map(field)
	.join("");
const sessionFields = ["session_id", "session_name", "status"].map(field).join("");

/**
 * The format that writes a snapshot on one line: sessions, in them windows, in them panes, each behind its mark. tmux
 * watches it by itself (`refresh-client -B`), so nobody polls. No comma: in a loop it would begin another format.
 */
export const snapshotFormat = `#{S:S${sessionFields}#{W:W${windowFields}#{P:P${paneFields}}}}`;

/** @param status the value of tmux's option `status`: `on`, `off`, or a number of lines. */
export function readStatusLines(status: string): number {
	return status === "on" ? 1 : status === "off" ? 0 : Number(status) || 0;
}

/** @throws Error when the text is not a snapshot. */
export function parseSnapshot(text: string): Snapshot {
	const reader = new FieldReader(text);
	const sessions = new Map<SessionNumber, SessionState>();
	while (reader.mark("S")) {
		const number = reader.text() as SessionNumber;
		const name = reader.text();
		const statusLines = readStatusLines(reader.text());
		const windows = new Map<WindowNumber, WindowState>();
		while (reader.mark("W")) {
			const window = reader.text() as WindowNumber;
			const state = {
				name: reader.text(),
				active: reader.number() === 1,
				zoomed: reader.number() === 1,
				bell: reader.number() === 1,
				bells: reader.number(),
				width: reader.number(),
				height: reader.number(),
			};
			const panes = new Map<PaneNumber, PaneState>();
			while (reader.mark("P")) {
				panes.set(reader.text() as PaneNumber, { active: reader.number() === 1, command: reader.text() });
			}
			windows.set(window, { ...state, panes });
		}
		sessions.set(number, { name, statusLines, windows });
	}
	if (!reader.done) throw new Error("tmux's snapshot has something else after its sessions");
	return sessions;
}
