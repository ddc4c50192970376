import type { PaneNumber, SessionNumber, WindowNumber } from "./rows.ts";
import type { SessionState, Snapshot } from "./snapshot.ts";

/** What happened on a tmux server. */
export type TmuxEvent =
	| { readonly type: "sessions" }
	| { readonly type: "windows"; readonly session: SessionNumber }
	| { readonly type: "renamed"; readonly session: SessionNumber; readonly name: string }
	| { readonly type: "size"; readonly session: SessionNumber; readonly cols: number; readonly rows: number }
	| { readonly type: "bell"; readonly session: SessionNumber; readonly window: WindowNumber }
	| {
			readonly type: "command-finished";
			readonly session: SessionNumber;
			readonly window: WindowNumber;
			readonly command: string;
			readonly durationMs: number;
	  };

/** A command that ran shorter is not worth telling. */
export const longCommandMs = 10_000;

const shells = new Set([
	"sh",
	"bash",
	"zsh",
	"fish",
	"dash",
	"ash",
	"ksh",
	"mksh",
	"tcsh",
	"csh",
	"nu",
	"pwsh",
	"xonsh",
	"elvish",
]);

/** Whether a pane whose command this is waits for its person. Login shells have a dash in front. */
export function isShell(command: string): boolean {
	return shells.has(command.replace(/^-/, ""));
}

/** Tells what changed between snapshots, and how long commands ran. Times are milliseconds that never go back. */
export class SnapshotChanges {
	#before: Snapshot | undefined;
	/** Since when each pane runs what it runs. */
	#since = new Map<PaneNumber, { readonly command: string; readonly at: number }>();

	/** The last snapshot; undefined before the first. */
	get current(): Snapshot | undefined {
		return this.#before;
	}

	/** Of the first snapshot nobody knows what it was before: it may be another list than a page has. */
	next(snapshot: Snapshot, now: number): TmuxEvent[] {
		const before = this.#before;
		this.#before = snapshot;
		const finished = this.#commands(snapshot, now);
		if (before === undefined) return snapshot.size === 0 ? [] : [{ type: "sessions" }];
		const events: TmuxEvent[] = [];
		if (listing(before) !== listing(snapshot)) events.push({ type: "sessions" });
		for (const [number, session] of snapshot) {
			const old = before.get(number);
			if (old !== undefined) events.push(...sessionEvents(number, old, session));
		}
		return [...events, ...finished];
	}

	#commands(snapshot: Snapshot, now: number): TmuxEvent[] {
		const events: TmuxEvent[] = [];
		const since = new Map<PaneNumber, { readonly command: string; readonly at: number }>();
		for (const [session, { windows }] of snapshot) {
			for (const [window, { panes }] of windows) {
				for (const [pane, { command }] of panes) {
					const ran = this.#since.get(pane);
					// A pane of a window that two sessions share is met twice.
					if (since.has(pane)) continue;
					since.set(pane, ran?.command === command ? ran : { command, at: now });
					if (ran === undefined || ran.command === command || !isShell(command) || isShell(ran.command)) continue;
					const durationMs = now - ran.at;
					if (durationMs < longCommandMs) continue;
					events.push({ type: "command-finished", session, window, command: ran.command, durationMs });
				}
			}
		}
		this.#since = since;
		return events;
	}
}

function sessionEvents(session: SessionNumber, old: SessionState, state: SessionState): TmuxEvent[] {
	const events: TmuxEvent[] = [];
	if (old.name !== state.name) events.push({ type: "renamed", session, name: state.name });
	if (layout(old) !== layout(state)) events.push({ type: "windows", session });
	for (const [window, { bell, bells }] of state.windows) {
		const was = old.windows.get(window);
		const rang = bells > (was?.bells ?? 0) || (bells === 0 && bell && was?.bell === false);
		if (was !== undefined && rang) events.push({ type: "bell", session, window });
	}
	const size = clientSize(state);
	const oldSize = clientSize(old);
	if (size.cols !== oldSize.cols || size.rows !== oldSize.rows) events.push({ type: "size", session, ...size });
	return events;
}

/** What a client needs to show the active window whole. */
function clientSize({ windows, statusLines }: SessionState): { readonly cols: number; readonly rows: number } {
	const active = [...windows.values()].find((window) => window.active);
	return { cols: active?.width ?? 0, rows: (active?.height ?? 0) + statusLines };
}

function listing(snapshot: Snapshot): string {
	return JSON.stringify([...snapshot].map(([number, { name, windows }]) => [number, name, windows.size]).sort());
}

function layout(session: SessionState): string {
	return JSON.stringify(
		[...session.windows].map(([number, { name, active, zoomed, panes }]) => [
			number,
			name,
			active,
			zoomed,
			[...panes].map(([pane, state]) => [pane, state.active]),
		]),
	);
}
