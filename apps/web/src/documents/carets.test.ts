import { Schema } from "@tiptap/pm/model";
import { EditorState, Plugin } from "@tiptap/pm/state";
import { absolutePositionToRelativePosition, yCursorPluginKey, ySyncPluginKey } from "@tiptap/y-tiptap";
import { describe, expect, it } from "vitest";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { carets } from "./carets.ts";

const schema = new Schema({ nodes: { doc: { content: "paragraph+" }, paragraph: { content: "text*" }, text: {} } });

/** An editor's state over one shared paragraph, as the page has it. */
function editorOf(awareness: Awareness) {
	const fragment = awareness.doc.getXmlFragment("default");
	const paragraph = new Y.XmlElement("paragraph");
	paragraph.insert(0, [new Y.XmlText("hello")]);
	fragment.insert(0, [paragraph]);
	const doc = schema.node("doc", null, [schema.node("paragraph", null, [schema.text("hello")])]);
	const mapping = new Map<unknown, unknown>([[paragraph, doc.firstChild]]);
	const synced = { doc: awareness.doc, type: fragment, binding: { mapping }, isChangeOrigin: true };
	const sync = new Plugin({ key: ySyncPluginKey, state: { init: () => synced, apply: () => synced } });
	const plugins = carets(awareness).config.addProseMirrorPlugins?.call({} as never) ?? [];
	const place = () => JSON.parse(JSON.stringify(absolutePositionToRelativePosition(3, fragment, mapping as never)));
	return { state: EditorState.create({ schema, doc, plugins: [sync, ...plugins] }), place };
}

describe("others' carets", () => {
	it("stand where they say, and keep no change of the text out, whatever somebody says", () => {
		const awareness = new Awareness(new Y.Doc());
		const { state, place } = editorOf(awareness);
		const here = place();
		const hostile: unknown[] = [
			7,
			"text",
			{ cursor: 7 },
			{ cursor: {} },
			{ cursor: { anchor: 1, head: 2 } },
			{ cursor: { anchor: here, head: here }, user: 7 },
			{ cursor: { anchor: here, head: here }, user: "somebody" },
			{ cursor: { anchor: { item: { client: awareness.clientID, clock: -1 } }, head: here } },
			{ cursor: { anchor: { item: { client: awareness.clientID, clock: 0.5 } }, head: here } },
			{ cursor: { anchor: { type: 7 }, head: here } },
		];
		const shown = () => {
			const changed = state.apply(state.tr.insertText("!", 6));
			expect(changed.doc.textContent).toBe("hello!");
			return yCursorPluginKey.getState(changed).find().length;
		};
		awareness.states.set(1, { cursor: { anchor: here, head: here }, user: { name: "Ada" } });
		const ones = shown();
		expect(ones).toBeGreaterThan(0);
		for (const said of hostile) {
			awareness.states.set(2, said as never);
			expect([said, shown()]).toEqual([said, ones]);
		}
		awareness.destroy();
	});
});
