import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { Markdown } from "./markdown.tsx";

const shown = (text: string) => renderToStaticMarkup(<Markdown text={text} />);

describe("a model's Markdown", () => {
	it("becomes elements of ours; HTML and strange links stay text", () => {
		expect(shown("**a** [b](https://c.example)")).toContain("<strong>a</strong>");
		expect(shown("[b](https://c.example)")).toContain('href="https://c.example"');
		expect(shown("<img src=x onerror=alert(1)>")).not.toContain("<img");
		expect(shown("[b](javascript:alert(1))")).not.toContain("href");
	});

	it.each([
		["quotes", ">", 20_000],
		["lists", "- ", 6_000],
		["numbered lists", "1. ", 6_000],
		["emphasis", "*", 4_000],
		["fewer quotes than the lexer takes", ">", 300],
	])("is shown though a model repeats itself without end: %s", (_name, mark, count) => {
		const html = shown(`${mark.repeat(count)}the end`);
		expect(html).toContain("the end");
		expect(html.match(/<(?:blockquote|ul|ol|em|strong)\b/g)?.length ?? 0).toBeLessThan(100);
	});
});
