import { type Closeable, systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { type ClientNotice, type ClientSocketHandlers, TerminalClientLoop } from "@warren/terminal/protocol";
import type { StartedNode } from "@warren/testkit";

/** A terminal as a page has it: typed into, read, and resumed by itself after a drop. */
export class TerminalOfTest implements Closeable {
	readonly notices: ClientNotice[] = [];
	#output = "";
	#changed = Promise.withResolvers<void>();
	readonly #loop: TerminalClientLoop;

	/** @param path `/ws/SESSION`, or below `/r/PEER`. */
	constructor(node: StartedNode, path: string, headers: Readonly<Record<string, string>>) {
		const decoder = new TextDecoder();
		const changed = () => {
			this.#changed.resolve();
			this.#changed = Promise.withResolvers<void>();
		};
		this.#loop = new TerminalClientLoop(
			{
				monotonic: () => systemClock.monotonic(),
				after: (ms, action) => systemClock.after(ms, action),
				openSocket: (handlers) => socket(node, path, headers, handlers),
				write: (bytes, parsed) => {
					this.#output += decoder.decode(bytes, { stream: true });
					parsed();
					changed();
				},
				notice: (notice) => {
					this.notices.push(notice);
					changed();
				},
			},
			{ cols: 80, rows: 24, mode: "fit", fraction: () => 0.5 },
		);
		this.#loop.start();
	}

	get output(): string {
		return this.#output;
	}

	type(text: string): void {
		if (!this.#loop.type(new TextEncoder().encode(text))) throw new Error("the terminal takes no input");
	}

	/** Resolves once the output, or what the terminal told, is as asked. */
	async where(holds: (terminal: TerminalOfTest) => boolean): Promise<void> {
		while (!holds(this)) {
			const stopped = this.notices.find(({ type }) => type === "stopped");
			if (stopped !== undefined) throw new Error(`the terminal stopped: ${JSON.stringify(stopped)}`);
			await this.#changed.promise;
		}
	}

	/** Runs a line and resolves when its output has come: the echo of what was typed does not count. */
	async run(word: string): Promise<void> {
		this.type(`echo "${word}"-"done"\r`);
		await this.where(({ output }) => output.includes(`${word}-done`));
	}

	close(): void {
		this.#loop.close();
	}
}

function socket(
	node: StartedNode,
	path: string,
	headers: Readonly<Record<string, string>>,
	handlers: ClientSocketHandlers,
) {
	const abort = new AbortController();
	const early: Uint8Array[] = [];
	let send = (bytes: Uint8Array) => void early.push(bytes);
	let close = (_code: number, _reason: string) => abort.abort();
	void dialWebSocket(`${node.origin.replace("https", "wss")}${path}`, systemClock, {
		headers,
		tls: { ca: node.ca },
		signal: abort.signal,
	}).then((dialled) => {
		if (!dialled.ok) return handlers.closed(1006, dialled.message);
		const { connection } = dialled;
		connection.onMessage((data) => handlers.message(data));
		connection.onClose((code, reason) => handlers.closed(code, reason));
		send = (bytes) => void connection.send(bytes);
		close = (code, reason) => void connection.close(code, reason);
		handlers.opened();
		for (const bytes of early.splice(0)) send(bytes);
	});
	return { send: (bytes: Uint8Array) => send(bytes), close: (code: number, reason: string) => close(code, reason) };
}
