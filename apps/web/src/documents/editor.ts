import { Editor, type Extensions, type JSONContent } from "@tiptap/core";
import { Collaboration } from "@tiptap/extension-collaboration";
import { TaskItem, TaskList } from "@tiptap/extension-list";
import { Placeholder } from "@tiptap/extensions";
import { StarterKit } from "@tiptap/starter-kit";
import { yXmlFragmentToProsemirrorJSON } from "@tiptap/y-tiptap";
import * as Y from "yjs";
import { carets } from "./carets.ts";
import { type OpenDocument, textRoot } from "./open-document.ts";
import { TypedTask } from "./typed-task.ts";

export interface EditorLabels {
	/** What a screen reader calls the field. */
	readonly name: string;
	readonly placeholder: string;
	task(text: string): string;
}

/** The collaborative editor on one open document. `destroy()` it before the document is closed. */
export function openEditor(
	element: HTMLElement,
	document: OpenDocument,
	editable: boolean,
	labels: EditorLabels,
): Editor {
	return new Editor({
		...common(element, labels.name, editable),
		extensions: [
			...marksAndBlocks(labels),
			Placeholder.configure({ placeholder: labels.placeholder }),
			Collaboration.configure({ document: document.doc, field: textRoot }),
			carets(document.awareness),
		],
	});
}

/** The text of a stored version, to look at. */
export function openPreview(element: HTMLElement, content: JSONContent, labels: EditorLabels): Editor {
	return new Editor({ ...common(element, labels.name, false), content, extensions: marksAndBlocks(labels) });
}

/** The text in a Yjs update, as the editor's own JSON. */
export function contentOf(update: Uint8Array): JSONContent {
	const doc = new Y.Doc();
	try {
		Y.applyUpdate(doc, update);
		return textOf(doc);
	} finally {
		doc.destroy();
	}
}

export function textOf(doc: Y.Doc): JSONContent {
	const content = yXmlFragmentToProsemirrorJSON(doc.getXmlFragment(textRoot)) as JSONContent;
	return (content.content?.length ?? 0) > 0 ? content : emptyContent;
}

const emptyContent: JSONContent = { type: "doc", content: [{ type: "paragraph" }] };

function common(element: HTMLElement, name: string, editable: boolean) {
	return {
		element,
		editable,
		// The policy takes no style element; the same rules stand in documents.css.
		injectCSS: false,
		// JSON even when empty: text would go through an HTML parser, which Trusted Types forbid.
		content: emptyContent,
		editorProps: editorProps(name, editable),
	};
}

/** What a title or a permission that changed means for an editor that is open. */
export function adapt(editor: Editor, name: string, editable: boolean): void {
	editor.setOptions({ editable, editorProps: editorProps(name, editable) });
}

function editorProps(name: string, editable: boolean) {
	return {
		attributes: {
			class: "prose-text",
			role: "textbox",
			"aria-multiline": "true",
			"aria-label": name,
			"aria-readonly": String(!editable),
			// A read-only text must be reachable by key too, to scroll it.
			tabindex: "0",
		},
		transformPastedHTML: withoutStyles,
	};
}

/** The page's policy blocks style attributes even where pasted text is only read: they go before that. */
function withoutStyles(html: string): string {
	return html.replace(/<[a-z][^<>]*>/gi, (tag) => tag.replace(/\sstyle\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)/gi, ""));
}

function marksAndBlocks(labels: EditorLabels): Extensions {
	return [
		StarterKit.configure({
			// Yjs keeps the history of this device's own edits.
			undoRedo: false,
			// It would write a paragraph into every document that is only looked at.
			trailingNode: false,
			heading: { levels: [1, 2, 3] },
			link: { openOnClick: true, defaultProtocol: "https" },
		}),
		// Before the items: of two rules that fit, the first counts.
		TypedTask,
		TaskList,
		TaskItem.configure({
			nested: true,
			a11y: { checkboxLabel: (node) => labels.task(node.firstChild?.textContent ?? "") },
		}),
	];
}
