import { expect } from "vitest";
import { type Row, type SceneName, scenes } from "./command-table.ts";
import { type Shell, served, typed } from "./typed.ts";

/** What one scene puts in the place of the documentation's own names and ports. */
export type Words = Readonly<Record<string, string>>;

/** Types the rows of a scene one after the other; what serves until the scene ends is left to the stack. @param after does what the next one needs. */
export async function playScene(
	stack: AsyncDisposableStack,
	scene: SceneName,
	shell: Shell,
	words: Words,
	after: (row: Row, text: string) => void | Promise<void> = () => {},
): Promise<void> {
	for (const row of scenes[scene]) {
		const line = lineOf(row, words);
		if (row.serves !== undefined) {
			const running = await served(line, row.says, shell);
			await after(row, running.text);
			if (row.serves === "moment") await running[Symbol.asyncDispose]();
			else stack.use(running);
			continue;
		}
		const { code, text } = await typed(line, shell);
		expect(text, line).toMatch(row.says);
		expect(text, line).not.toContain("unexpected failure");
		if (row.exit !== null) expect(code, `${line}\n${text}`).toBe(row.exit ?? 0);
		await after(row, text);
	}
}

function lineOf(row: Row, words: Words): string {
	let line = row.typed ?? row.shown;
	for (const [from, to] of Object.entries(words)) line = line.replaceAll(from, to);
	return line;
}
