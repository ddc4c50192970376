import { expect, test } from "vitest";
import type { Snapshot } from "./snapshot.ts";
import { isShell, SnapshotChanges } from "./snapshot-changes.ts";

interface Shape {
	name?: string;
	command?: string;
	bells?: number;
	bell?: boolean;
	width?: number;
	zoomed?: boolean;
	windows?: number;
}

function snapshot({
	name = "a",
	command = "bash",
	bells = 0,
	bell = false,
	width = 80,
	zoomed = false,
	windows = 1,
}: Shape): Snapshot {
	const panes = new Map([["%1" as const, { active: true, command }]]);
	const window = { name: "w", active: true, zoomed, bell, bells, width, height: 24, panes };
	const all = Array.from(
		{ length: windows },
		(_, i) => [`@${i + 1}`, i === 0 ? window : { ...window, active: false, panes: new Map() }] as const,
	);
	return new Map([["$1" as const, { name, statusLines: 1, windows: new Map(all as [`@${number}`, typeof window][]) }]]);
}

function change(from: Shape, to: Shape) {
	const changes = new SnapshotChanges();
	changes.next(snapshot(from), 0);
	return changes.next(snapshot(to), 1000);
}

test("the first snapshot is a new list and nothing more, the same one again is nothing", () => {
	const changes = new SnapshotChanges();
	expect(changes.next(snapshot({ bells: 3 }), 0)).toEqual([{ type: "sessions" }]);
	expect(changes.next(snapshot({ bells: 3 }), 1)).toEqual([]);
});

test("each change is told", () => {
	expect(change({}, { name: "b" })).toEqual([{ type: "sessions" }, { type: "renamed", session: "$1", name: "b" }]);
	expect(change({}, { windows: 2 })).toEqual([{ type: "sessions" }, { type: "windows", session: "$1" }]);
	expect(change({}, { zoomed: true })).toEqual([{ type: "windows", session: "$1" }]);
	expect(change({}, { bells: 1 })).toEqual([{ type: "bell", session: "$1", window: "@1" }]);
	expect(change({ bells: 1 }, { bells: 2, bell: true })).toEqual([{ type: "bell", session: "$1", window: "@1" }]);
	expect(change({}, { bell: true })).toEqual([{ type: "bell", session: "$1", window: "@1" }]);
	expect(change({ bell: true }, { bell: false })).toEqual([]);
	expect(change({}, { width: 90 })).toEqual([{ type: "size", session: "$1", cols: 90, rows: 25 }]);
});

test("a session that came or went is told once", () => {
	const changes = new SnapshotChanges();
	changes.next(new Map(), 0);
	expect(changes.next(snapshot({}), 1)).toEqual([{ type: "sessions" }]);
	expect(changes.next(new Map(), 2)).toEqual([{ type: "sessions" }]);
});

test("a command that ran 10 s and gave the shell back is told, a shorter one not", () => {
	for (const [ran, told] of [
		[9_999, false],
		[10_000, true],
	] as const) {
		const changes = new SnapshotChanges();
		changes.next(snapshot({}), 0);
		changes.next(snapshot({ command: "make" }), 500);
		changes.next(snapshot({ command: "make", width: 90 }), 3000);
		const events = changes.next(snapshot({ command: "bash", width: 90 }), 500 + ran);
		expect(events).toEqual(
			told ? [{ type: "command-finished", session: "$1", window: "@1", command: "make", durationMs: ran }] : [],
		);
	}
});

test("a shell that opens a shell finishes no command", () => {
	const changes = new SnapshotChanges();
	changes.next(snapshot({ command: "bash" }), 0);
	expect(changes.next(snapshot({ command: "zsh" }), 60_000)).toEqual([]);
	expect(["bash", "-zsh", "fish"].every(isShell)).toBe(true);
	expect(["vim", "node", "make"].some(isShell)).toBe(false);
});
