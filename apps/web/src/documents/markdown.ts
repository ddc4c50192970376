import type { JSONContent } from "@tiptap/core";

/** The editor's document as Markdown (CommonMark, with task lists and strike-through). Ends with a newline. */
export function toMarkdown(document: JSONContent): string {
	return `${blocks(document.content ?? [], "\n\n").trimEnd()}\n`;
}

function blocks(nodes: readonly JSONContent[], between: string): string {
	return nodes.map(block).join(between);
}

function block(node: JSONContent): string {
	const children = node.content ?? [];
	switch (node.type) {
		case "heading":
			return `${"#".repeat(Number(node.attrs?.level ?? 1))} ${inline(children)}`;
		case "bulletList":
			return list(children, () => "- ");
		case "taskList":
			return list(children, (item) => (item.attrs?.checked === true ? "- [x] " : "- [ ] "));
		case "orderedList":
			return list(children, (_item, index) => `${Number(node.attrs?.start ?? 1) + index}. `);
		case "blockquote":
			return prefixed(blocks(children, "\n\n"), "> ", "> ");
		case "codeBlock":
			return codeBlock(children.map((child) => child.text ?? "").join(""), String(node.attrs?.language ?? ""));
		case "horizontalRule":
			return "---";
		default:
			return escapeStart(inline(children));
	}
}

function list(items: readonly JSONContent[], markOf: (item: JSONContent, index: number) => string): string {
	return items
		.map((item, index) => {
			const mark = markOf(item, index);
			const width = mark.startsWith("- ") ? 2 : mark.length;
			// A nested list follows its item at once; a second paragraph needs an empty line.
			const text = (item.content ?? [])
				.map((child, at) => (at === 0 ? "" : /List$/.test(child.type ?? "") ? "\n" : "\n\n") + block(child))
				.join("");
			return prefixed(text, mark, " ".repeat(width));
		})
		.join("\n");
}

function prefixed(text: string, first: string, rest: string): string {
	return text
		.split("\n")
		.map((line, index) => `${index === 0 ? first : line === "" ? rest.trimEnd() : rest}${line}`)
		.join("\n");
}

function codeBlock(code: string, language: string): string {
	const fence = "`".repeat(Math.max(3, longestRun(code) + 1));
	return `${fence}${language === "null" ? "" : language}\n${code}\n${fence}`;
}

function inline(nodes: readonly JSONContent[]): string {
	return nodes.map(piece).join("");
}

function piece(node: JSONContent): string {
	if (node.type === "hardBreak") return "\\\n";
	const text = node.text ?? "";
	const marks = new Map((node.marks ?? []).map((mark) => [mark.type, mark]));
	if (marks.has("code")) {
		const fence = "`".repeat(longestRun(text) + 1);
		const pad = text.startsWith("`") || text.endsWith("`") ? " " : "";
		return linked(`${fence}${pad}${text}${pad}${fence}`, marks.get("link")?.attrs?.href);
	}
	// Emphasis may not touch a space on its inner side.
	const core = text.trim();
	if (core === "") return text;
	const before = text.slice(0, text.length - text.trimStart().length);
	const after = text.slice(text.trimEnd().length);
	let marked = core.replace(/[\\`*_[\]<>~]/g, "\\$&");
	if (marks.has("strike")) marked = `~~${marked}~~`;
	if (marks.has("italic")) marked = `*${marked}*`;
	if (marks.has("bold")) marked = `**${marked}**`;
	return before + linked(marked, marks.get("link")?.attrs?.href) + after;
}

function linked(text: string, href: unknown): string {
	return typeof href === "string" ? `[${text}](<${href.replace(/[<>\n]/g, encodeURIComponent)}>)` : text;
}

/** What would begin a list, a heading or a quote where a paragraph begins. */
function escapeStart(text: string): string {
	return text.replace(/^(\s*)([-+#]|\d+[.)])(?=\s)/, (_all, space: string, mark: string) =>
		/^\d/.test(mark) ? `${space}${mark.slice(0, -1)}\\${mark.slice(-1)}` : `${space}\\${mark}`,
	);
}

function longestRun(text: string): number {
	return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
