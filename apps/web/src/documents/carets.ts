import { Extension } from "@tiptap/core";
import { yCursorPlugin } from "@tiptap/y-tiptap";
import type { Awareness } from "y-protocols/awareness";
import { presentOf } from "./presence.ts";

/** Others' carets and selections, with their names. Styled through the CSSOM: the page's policy allows no style attribute. */
export function carets(awareness: Awareness): Extension {
	return Extension.create({
		name: "carets",
		addProseMirrorPlugins: () => [
			yCursorPlugin(awareness, {
				cursorBuilder: (user: unknown) => caretOf(user),
				selectionBuilder: (user: unknown) => ({
					class: "caret-selection",
					style: `background-color: ${colourIn(user)}38`,
				}),
			}),
		],
	});
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
