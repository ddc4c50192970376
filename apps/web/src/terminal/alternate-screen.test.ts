import { Terminal } from "@xterm/headless";
import { expect, test } from "vitest";
import { keepAlternateScreen } from "./alternate-screen.ts";

const write = (terminal: Terminal, text: string) => new Promise<void>((done) => terminal.write(text, done));

test("an alternate screen entered after the terminal shrank still shows its lines after it grows again", async () => {
	const terminal = new Terminal({ allowProposedApi: true, cols: 52, rows: 35, scrollback: 0 });
	keepAlternateScreen(terminal);
	terminal.resize(52, 33);
	await write(terminal, "\x1b[?1049h\x1b[H\x1b[2J");
	// A program that still believes in the old height scrolls two lines away, and goes back to the top.
	await write(terminal, `${"\r\n".repeat(34)}\x1b[1;12H`);
	terminal.resize(52, 35);
	const numbers = Array.from({ length: 60 }, (_, index) => String(index));
	await write(terminal, `\x1b[1;35r\x1b[35S\x1b[H${numbers.join("\r\n")}`);
	const { active } = terminal.buffer;
	const shown = Array.from({ length: 35 }, (_, y) => active.getLine(active.viewportY + y)?.translateToString(true));
	expect(shown).toEqual(numbers.slice(-35));
	expect(active.baseY).toBe(0);
});
