/** What is used of a terminal, and of the line list behind its alternate screen. */
interface AlternateScreenTerminal {
	readonly rows: number;
	readonly buffer: { onBufferChange(listener: (buffer: { readonly type: string }) => void): unknown };
}

interface Internals {
	readonly _core?: { readonly _bufferService?: { readonly buffers?: { readonly alt?: { lines?: LineList } } } };
}

interface LineList {
	readonly length: number;
	maxLength: number;
}

/**
 * Keeps xterm's alternate screen from losing its place. A resize leaves the capacity of an alternate screen that is not
 * in use as it was; one that was taller then grows a scrollback that it must not have, and the next resize draws its
 * lines rotated and repeated. The capacity is set right each time a program switches to it.
 */
export function keepAlternateScreen(terminal: AlternateScreenTerminal): void {
	terminal.buffer.onBufferChange(({ type }) => {
		const lines = (terminal as Internals)._core?._bufferService?.buffers?.alt?.lines;
		if (type === "alternate" && lines !== undefined) lines.maxLength = Math.max(lines.length, terminal.rows);
	});
}
