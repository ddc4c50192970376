import type { Editor } from "@tiptap/core";
import { useEffect, useRef, useState } from "react";
import { t } from "../pages/text/docs.ts";
import { adapt, openEditor } from "./editor.ts";
import { LinkDialog } from "./link-dialog.tsx";
import type { OpenDocument } from "./open-document.ts";
import { Toolbar } from "./toolbar.tsx";

export const editorLabels = (title: string) => ({ name: t.text(title), placeholder: t.placeholder, task: t.task });

/** The text, with its tools where it may be changed. */
export function EditorView(props: { document: OpenDocument; title: string; editable: boolean }) {
	const { document, editable } = props;
	const host = useRef<HTMLDivElement>(null);
	const first = useRef({ title: props.title, editable });
	const [editor, setEditor] = useState<Editor>();
	const [linking, setLinking] = useState(false);

	useEffect(() => {
		const element = host.current;
		if (element === null) return;
		const opened = openEditor(element, document, first.current.editable, editorLabels(first.current.title));
		setEditor(opened);
		return () => {
			opened.destroy();
			setEditor(undefined);
		};
	}, [document]);
	useEffect(() => {
		if (editor !== undefined) adapt(editor, t.text(props.title), editable);
	}, [editor, props.title, editable]);

	return (
		<>
			{editable && (
				<div className="toolbar-place">
					{editor !== undefined && <Toolbar editor={editor} onLink={() => setLinking(true)} />}
				</div>
			)}
			<div
				className="doc-text"
				ref={host}
				onKeyDown={(event) => {
					if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || !event.shiftKey) return;
					event.preventDefault();
					if (editable) setLinking(true);
				}}
			/>
			{editor !== undefined && linking && (
				<LinkDialog editor={editor} open={linking} onClose={() => setLinking(false)} />
			)}
		</>
	);
}
