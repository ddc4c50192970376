import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "../../..");
const programs = /^(?:[A-Z_]+=\S+ )*(?:sudo )?(?:warren|npm|npx|node|curl|docker|cargo|cd \S+ &&) /;
/** A pipe into another program; every other bar stands between commands of one name. */
const pipes = / \| source$/;

export interface ShownCommand {
	/** As the page has it, without its comment, on one line. */
	readonly line: string;
	readonly pages: readonly string[];
}

/** Every command that a page of the documentation shows, in blocks and within its sentences. The reference is made from the program itself. */
export function shownCommands(): ShownCommand[] {
	const pages = ["README.md", ...markdownUnder("docs")].filter((page) => page !== "docs/reference.md");
	const found = new Map<string, Set<string>>();
	for (const page of pages)
		for (const line of linesOf(readFileSync(join(root, page), "utf8"))) {
			const command = line.trim().replace(/\s{2,}(?:#.*|[a-z0-9].*)$/, "");
			if (!programs.test(command)) continue;
			for (const each of alternatives(command)) found.set(each, (found.get(each) ?? new Set()).add(page));
		}
	return [...found].map(([line, on]) => ({ line, pages: [...on] }));
}

function linesOf(text: string): string[] {
	const fence = /^```(\w*)\n([\s\S]*?)^```/gm;
	const blocks = [...text.matchAll(fence)].flatMap(([, language, body = ""]) =>
		language === "json" ? [] : body.replace(/ *\\\n\s*/g, " ").split("\n"),
	);
	const inline = [...text.replace(fence, "").matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
	return [...blocks, ...inline].map((line) => line.replace(/\s+#.*$/, ""));
}

/** `warren peers | remove ID` are two. */
function alternatives(command: string): string[] {
	if (pipes.test(command)) return [command];
	const [first = "", ...rest] = command.split(" | ");
	const before = first.split(" ").slice(0, -1).join(" ");
	return [first, ...rest.map((each) => `${before} ${each}`)];
}

function markdownUnder(folder: string): string[] {
	return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
		.filter((name) => name.endsWith(".md"))
		.map((name) => relative(root, join(root, folder, name)));
}
