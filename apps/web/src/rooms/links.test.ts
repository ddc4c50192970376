import fc from "fast-check";
import { expect, it } from "vitest";
import { linksIn } from "./links.ts";

const hrefs = (text: string) => linksIn(text).flatMap(({ href }) => (href === undefined ? [] : [href]));

it("web addresses are links, without the stop that ends the sentence", () => {
	expect(hrefs("See https://example.org/notes, and (http://[fd5a::1]:8730/a?b=c#d).")).toEqual([
		"https://example.org/notes",
		"http://[fd5a::1]:8730/a?b=c#d",
	]);
});

it("nothing else is: no script, no file, no bare word, nothing that is no address", () => {
	for (const text of ["javascript:alert(1)", "file:///etc/passwd", "example.org", "https://", "xhttps://a.b"])
		expect(hrefs(text)).toEqual([]);
});

it("the pieces are the text, whole and in order, and a link shows what it leads to", () => {
	const text = fc
		.array(fc.oneof(fc.string(), fc.webUrl(), fc.constantFrom(" ", "https://", "(", ").", "\n")))
		.map((all) => all.join(""));
	fc.assert(
		fc.property(text, (whole) => {
			const parts = linksIn(whole);
			expect(parts.map((part) => part.text).join("")).toBe(whole);
			for (const { text: shown, href } of parts) if (href !== undefined) expect(URL.parse(shown)?.href).toBe(href);
		}),
	);
});

it("a message that is made to be slow is shown all the same", () => {
	const text = `https://a.b/${".".repeat(200_000)}x`;
	expect(hrefs(text)).toEqual([text]);
	expect(linksIn(`https://a.b/${".".repeat(200_000)}`)[1]?.text).toHaveLength(200_000);
});
