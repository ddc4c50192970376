import type { Editor } from "@tiptap/core";
import {
	Bold,
	Code,
	Heading1,
	Heading2,
	Italic,
	Link2,
	List,
	ListChecks,
	ListOrdered,
	type LucideIcon,
	Redo2,
	SquareCode,
	Strikethrough,
	TextQuote,
	Undo2,
} from "lucide-react";
import { type KeyboardEvent, useEffect, useState } from "react";
import { t } from "../pages/text/docs.ts";

interface Tool {
	readonly label: string;
	readonly icon: LucideIcon;
	readonly keys?: string;
	/** Undefined for what is done, not switched. */
	active?(editor: Editor): boolean;
	/** Possible at all times unless told. */
	able?(editor: Editor): boolean;
	run(editor: Editor): void;
}

/** Groups, a line between each two. */
const groups: readonly (readonly Tool[])[] = [
	[
		mark("bold", t.bold, Bold, "B", (editor) => editor.chain().focus().toggleBold().run()),
		mark("italic", t.italic, Italic, "I", (editor) => editor.chain().focus().toggleItalic().run()),
		mark("strike", t.strike, Strikethrough, "⇧S", (editor) => editor.chain().focus().toggleStrike().run()),
		mark("code", t.code, Code, "E", (editor) => editor.chain().focus().toggleCode().run()),
	],
	[
		{
			label: t.heading1,
			icon: Heading1,
			active: (editor) => editor.isActive("heading", { level: 1 }),
			run: (editor) => editor.chain().focus().toggleHeading({ level: 1 }).run(),
		},
		{
			label: t.heading2,
			icon: Heading2,
			active: (editor) => editor.isActive("heading", { level: 2 }),
			run: (editor) => editor.chain().focus().toggleHeading({ level: 2 }).run(),
		},
		mark("bulletList", t.bullets, List, "⇧8", (editor) => editor.chain().focus().toggleBulletList().run()),
		mark("orderedList", t.numbers, ListOrdered, "⇧7", (editor) => editor.chain().focus().toggleOrderedList().run()),
		mark("taskList", t.tasks, ListChecks, "⇧9", (editor) => editor.chain().focus().toggleTaskList().run()),
		mark("blockquote", t.quote, TextQuote, "⇧B", (editor) => editor.chain().focus().toggleBlockquote().run()),
		mark("codeBlock", t.codeBlock, SquareCode, "⌥C", (editor) => editor.chain().focus().toggleCodeBlock().run()),
	],
];

function mark(name: string, label: string, icon: LucideIcon, keys: string, run: (editor: Editor) => void): Tool {
	return { label, icon, keys, active: (editor) => editor.isActive(name), run };
}

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);
const titleOf = ({ label, keys }: Tool) =>
	keys === undefined ? label : `${label} (${isApple ? "⌘" : "Ctrl "}${keys})`;

/** One stop of the Tab key; arrows walk through it (WAI-ARIA toolbar). */
export function Toolbar({ editor, onLink }: { editor: Editor; onLink: () => void }) {
	useEditorChanges(editor);
	const [at, setAt] = useState(0);
	const tools: Tool[][] = [
		...groups.map((group) => [...group]),
		[
			{ label: t.link, icon: Link2, keys: "⇧K", active: () => editor.isActive("link"), run: onLink },
			{
				label: t.undo,
				icon: Undo2,
				keys: "Z",
				able: () => editor.can().undo(),
				run: () => editor.chain().focus().undo().run(),
			},
			{
				label: t.redo,
				icon: Redo2,
				keys: "⇧Z",
				able: () => editor.can().redo(),
				run: () => editor.chain().focus().redo().run(),
			},
		],
	];
	const count = tools.flat().length;

	function onKeyDown(event: KeyboardEvent<HTMLDivElement>) {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
		const to = event.key === "Home" ? 0 : event.key === "End" ? count - 1 : step && (at + step + count) % count;
		if (to === undefined) return;
		event.preventDefault();
		setAt(to);
		event.currentTarget.querySelectorAll("button")[to]?.focus();
	}

	let index = -1;
	return (
		<div className="toolbar" role="toolbar" aria-label={t.toolbar} onKeyDown={onKeyDown} tabIndex={-1}>
			{tools.map((group) => (
				<div key={group[0]?.label} className="toolbar-group">
					{group.map((tool) => {
						index += 1;
						const own = index;
						return (
							<button
								key={tool.label}
								type="button"
								className="icon-button"
								title={titleOf(tool)}
								aria-label={tool.label}
								aria-pressed={tool.active?.(editor)}
								tabIndex={own === at ? 0 : -1}
								// The text keeps its selection, and a phone its keyboard.
								onPointerDown={(event) => event.preventDefault()}
								onFocus={() => setAt(own)}
								// Stays a stop of the arrow keys.
								aria-disabled={tool.able?.(editor) === false}
								onClick={() => tool.able?.(editor) !== false && tool.run(editor)}
							>
								<tool.icon size={18} />
							</button>
						);
					})}
				</div>
			))}
		</div>
	);
}

/** Draws anew after each transaction: what is bold moves with the caret. */
function useEditorChanges(editor: Editor): void {
	const [, setVersion] = useState(0);
	useEffect(() => {
		const changed = () => setVersion((now) => now + 1);
		editor.on("transaction", changed);
		return () => void editor.off("transaction", changed);
	}, [editor]);
}
