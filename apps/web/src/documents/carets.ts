import { Extension } from "@tiptap/core";
import { Plugin } from "@tiptap/pm/state";
import { DecorationSet } from "@tiptap/pm/view";
import { yCursorPlugin } from "@tiptap/y-tiptap";
import type { Awareness } from "y-protocols/awareness";
import { presentOf } from "./presence.ts";

/** Others' carets and selections, with their names. Styled through the CSSOM: the page's policy allows no style attribute. */
export function carets(awareness: Awareness): Extension {
	return Extension.create({
		name: "carets",
		addProseMirrorPlugins: () => [
			harmless(
				yCursorPlugin(awareness, {
					awarenessStateFilter: (own: number, client: number, state: unknown) => client !== own && saysCaret(state),
					cursorBuilder: (user: unknown) => caretOf(user),
					selectionBuilder: (user: unknown) => ({
						class: "caret-selection",
						style: `background-color: ${colourIn(user)}38`,
					}),
				}),
			),
		],
	});
}

/** Carets that cannot be drawn are not: a change of the text must never fail with them, or it would be undone. */
function harmless(plugin: Plugin<DecorationSet>): Plugin<DecorationSet> {
	const { state } = plugin.spec;
	if (state === undefined) return plugin;
	const orNone = (draw: () => DecorationSet) => {
		try {
			return draw();
		} catch {
			// A place in the text that is none, as somebody here says it.
			return DecorationSet.empty;
		}
	};
	return new Plugin<DecorationSet>({
		...plugin.spec,
		state: {
			init: (...given) => orNone(() => state.init.apply(plugin, given)),
			apply: (...given) => orNone(() => state.apply.apply(plugin, given)),
		},
	});
}

/** What others say of their caret, readers too, is anything at all until it is looked at. */
function saysCaret(state: unknown): boolean {
	if (!isRecord(state)) return false;
	const { cursor, user } = state;
	return isRecord(cursor) && isPlace(cursor["anchor"]) && isPlace(cursor["head"]) && (user == null || isRecord(user));
}

/** A relative position of Yjs, as JSON. */
function isPlace(value: unknown): boolean {
	if (!isRecord(value)) return false;
	const { type, tname, item, assoc } = value;
	return (
		(type == null || isId(type)) &&
		(tname == null || typeof tname === "string") &&
		(item == null || isId(item)) &&
		(assoc == null || Number.isSafeInteger(assoc))
	);
}

function isId(value: unknown): boolean {
	return isRecord(value) && isCount(value["client"]) && isCount(value["clock"]);
}

function isCount(value: unknown): boolean {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

const whoIs = (user: unknown) => presentOf(0, { user }, -1);
const colourIn = (user: unknown) => whoIs(user)?.colour ?? "#57524a";

function caretOf(user: unknown): HTMLElement {
	const caret = document.createElement("span");
	caret.className = "caret";
	caret.style.borderColor = colourIn(user);
	const label = document.createElement("span");
	label.className = "caret-label";
	label.style.backgroundColor = colourIn(user);
	label.textContent = whoIs(user)?.name ?? "Somebody";
	// The zero-width joiners keep the caret from breaking a word or taking the line's first place.
	caret.append("⁠", label, "⁠");
	return caret;
}
