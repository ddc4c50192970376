import type { JSONContent } from "@tiptap/core";
import { expect, test } from "vitest";
import { toMarkdown } from "./markdown.ts";

const text = (value: string, ...marks: (string | { type: string; attrs: object })[]): JSONContent => ({
	type: "text",
	text: value,
	marks: marks.map((mark) => (typeof mark === "string" ? { type: mark } : mark)),
});
const paragraph = (...content: JSONContent[]): JSONContent => ({ type: "paragraph", content });
const of = (...content: JSONContent[]) => toMarkdown({ type: "doc", content });

test("headings, paragraphs, rules and quotes stand apart", () => {
	expect(
		of(
			{ type: "heading", attrs: { level: 2 }, content: [text("Plan")] },
			paragraph(text("One")),
			{ type: "horizontalRule" },
			{ type: "blockquote", content: [paragraph(text("a")), paragraph(text("b"))] },
		),
	).toBe("## Plan\n\nOne\n\n---\n\n> a\n>\n> b\n");
});

test("marks keep clear of spaces, and what looks like a mark is escaped", () => {
	expect(of(paragraph(text("see "), text("this ", "bold"), text("2 * 3 * 4 _x_")))).toBe(
		"see **this** 2 \\* 3 \\* 4 \\_x\\_\n",
	);
	expect(of(paragraph(text("a`b", "code")))).toBe("``a`b``\n");
	expect(of(paragraph(text("here", { type: "link", attrs: { href: "https://x.test/a>b" } })))).toBe(
		"[here](<https://x.test/a%3Eb>)\n",
	);
});

test("a text that is made to be slow is written all the same", () => {
	const wide = `a${" ".repeat(400_000)}b`;
	expect(of(paragraph(text(wide, "bold")))).toBe(`**${wide}**\n`);
});

test("lists nest, and tasks show their box", () => {
	const item = (value: string, ...more: JSONContent[]): JSONContent => ({
		type: "listItem",
		content: [paragraph(text(value)), ...more],
	});
	expect(
		of({
			type: "orderedList",
			attrs: { start: 3 },
			content: [item("c"), item("d", { type: "bulletList", content: [item("e")] })],
		}),
	).toBe("3. c\n4. d\n   - e\n");
	expect(
		of({
			type: "taskList",
			content: [
				{ type: "taskItem", attrs: { checked: true }, content: [paragraph(text("done"))] },
				{ type: "taskItem", attrs: { checked: false }, content: [paragraph(text("open"))] },
			],
		}),
	).toBe("- [x] done\n- [ ] open\n");
});

test("code keeps every character, its own fences included", () => {
	expect(of({ type: "codeBlock", attrs: { language: "sh" }, content: [text("echo `x`\n```\n")] })).toBe(
		"````sh\necho `x`\n```\n\n````\n",
	);
});

test("a paragraph does not become a list or a heading", () => {
	expect(of(paragraph(text("- no")), paragraph(text("# no")), paragraph(text("1. no")))).toBe(
		"\\- no\n\n\\# no\n\n1\\. no\n",
	);
	expect(of()).toBe("\n");
});
