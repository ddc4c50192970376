import {
	type Reset,
	type StopReason,
	TerminalClient,
	type ViewerEvent,
	type ViewerMode,
	type Welcome,
} from "@warren/terminal/protocol";
import { ApiError } from "../api/exchange.ts";

/** What a terminal page shows about its connection. */
export type StreamState =
	| { readonly phase: "connecting" }
	| { readonly phase: "live" }
	/** @property retryAt `performance.now()` of the next try. */
	| { readonly phase: "waiting"; readonly retryAt: number; readonly code: number; readonly message: string }
	| { readonly phase: "stopped"; readonly reason: StopReason };

export interface StreamOptions {
	/** Opens a fresh socket to the same terminal. */
	open(): Promise<WebSocket>;
	/** Takes output; calls `parsed` once the terminal has worked it in. */
	write(bytes: Uint8Array, parsed: () => void): void;
	/** Clears the screen, in order with the writes. */
	reset(reset: Reset): void;
	readonly cols: number;
	readonly rows: number;
	readonly mode: ViewerMode;
	onState(state: StreamState): void;
	onWelcome(welcome: Welcome): void;
	onEvent(event: ViewerEvent): void;
	onInputLost(bytes: number): void;
	onRoundTrip(ms: number): void;
}

export interface Stream {
	/** @returns false when so much is unsent that nothing more is taken. */
	type(bytes: Uint8Array): boolean;
	resize(cols: number, rows: number, mode: ViewerMode): void;
	repaint(): void;
	/** The page woke up, or someone asks to try at once. */
	probe(): void;
	close(): void;
}

/** The loop around the stream's client machine: performs what it says, feeds it what happens, arms one timer. */
export function openStream(options: StreamOptions): Stream {
	const client = new TerminalClient({
		cols: options.cols,
		rows: options.rows,
		mode: options.mode,
		fraction: Math.random,
	});
	const now = () => performance.now();
	let socket: { readonly link: number; readonly ws: WebSocket } | undefined;
	let timer: ReturnType<typeof setTimeout> | undefined;

	function step(act: () => void): void {
		act();
		perform();
		clearTimeout(timer);
		const deadline = client.deadline();
		if (deadline !== undefined) timer = setTimeout(() => step(() => client.tick(now())), Math.max(0, deadline - now()));
	}

	function perform(): void {
		for (const effect of client.drain()) {
			switch (effect.type) {
				case "connect":
					options.onState({ phase: "connecting" });
					connect(effect.link);
					break;
				case "send":
					if (socket?.link === effect.link && socket.ws.readyState === WebSocket.OPEN) {
						socket.ws.send(effect.bytes as Uint8Array<ArrayBuffer>);
					}
					break;
				case "disconnect":
					if (socket?.link === effect.link) socket.ws.close(effect.code, effect.reason.slice(0, 100));
					break;
				case "write": {
					const { bytes, mark } = effect;
					options.write(bytes, () => step(() => client.parsed(mark, now())));
					break;
				}
				case "reset":
					options.reset(effect.reset);
					break;
				case "welcome":
					options.onState({ phase: "live" });
					options.onWelcome(effect.welcome);
					break;
				case "event":
					options.onEvent(effect.event);
					break;
				case "input-lost":
					options.onInputLost(effect.bytes);
					break;
				case "round-trip":
					options.onRoundTrip(effect.ms);
					break;
				case "lost":
					options.onState({
						phase: "waiting",
						retryAt: now() + effect.retryMs,
						code: effect.code,
						message: effect.message,
					});
					break;
				case "stopped":
					options.onState({ phase: "stopped", reason: effect.reason });
					break;
			}
		}
	}

	function connect(link: number): void {
		options.open().then(
			(ws) => follow(link, ws),
			(failure: unknown) => step(() => client.closed(link, ...closeOf(failure), now())),
		);
	}

	function follow(link: number, ws: WebSocket): void {
		if (client.state !== "connecting") return ws.close(1000);
		socket = { link, ws };
		ws.binaryType = "arraybuffer";
		ws.onopen = () => step(() => client.opened(link));
		ws.onmessage = ({ data }) => {
			if (data instanceof ArrayBuffer) step(() => client.message(link, new Uint8Array(data), now()));
		};
		ws.onclose = ({ code, reason }) => step(() => client.closed(link, code, reason, now()));
	}

	step(() => client.start(now()));
	return {
		type(bytes) {
			let taken = false;
			step(() => {
				taken = client.type(bytes);
			});
			return taken;
		},
		resize: (cols, rows, mode) => step(() => client.resize(cols, rows, mode)),
		repaint: () => step(() => client.repaint()),
		probe: () => step(() => client.probe(now())),
		close: () => step(() => client.close()),
	};
}

/** A refused ticket stands for the close that the socket would have got. */
function closeOf(failure: unknown): [code: number, reason: string] {
	if (!(failure instanceof ApiError)) return [0, failure instanceof Error ? failure.message : String(failure)];
	const reason = failure.fix === "" ? failure.message : `${failure.message} ${failure.fix}`;
	if (failure.retryable) return [0, reason];
	return [failure.status === 401 ? 4401 : failure.status === 404 ? 4404 : 4403, reason];
}
