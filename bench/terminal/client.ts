// The measured client: a process of its own, with xterm.js's parser and no page around it.
import { createRequire } from "node:module";
import { TerminalClientLoop } from "@warren/terminal/protocol";
import { SeededRandom } from "@warren/testkit";
import headless from "@xterm/headless";
import WebSocket from "ws";
import { type Answer, type ClientTarget, prompt, type Task } from "./tasks.ts";

const cols = 120;
const rows = 40;
const giveUpMs = 60_000;

interface Link {
	cut(): void;
	readonly live: () => boolean;
	readonly resets: () => number;
	close(): void;
}

const terminal = new headless.Terminal({ cols, rows, allowProposedApi: true, scrollback: 100 });
let parsedBytes = 0;
/** While true, what arrives is not parsed: the stalled reader. */
let stalled = false;
let withheld: (() => void)[] = [];
let watchers: (() => void)[] = [];

function write(bytes: Uint8Array | string, parsed: () => void): void {
	if (stalled) {
		withheld.push(() => write(bytes, parsed));
		return;
	}
	terminal.write(bytes, () => {
		parsedBytes += bytes.length;
		parsed();
		for (const watcher of watchers) watcher();
	});
}

/** Resolves in the very callback in which the screen shows it. */
function shown(holds: () => boolean): Promise<void> {
	return new Promise((resolve, reject) => {
		const watcher = () => {
			if (!holds()) return;
			clearTimeout(timer);
			watchers = watchers.filter((each) => each !== watcher);
			resolve();
		};
		const timer = setTimeout(
			() => reject(new Error(`not shown in ${giveUpMs} ms: ${screen().join("\n").trim()}`)),
			giveUpMs,
		);
		watchers.push(watcher);
		watcher();
	});
}

function screen(): string[] {
	const { active } = terminal.buffer;
	return Array.from({ length: rows }, (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? "");
}

function lineAtCursor(): string {
	const { active } = terminal.buffer;
	return active.getLine(active.baseY + active.cursorY)?.translateToString(false, 0, active.cursorX) ?? "";
}

/** As a key press does in either page: through xterm, which parses what answers a key at once. */
function type(text: string): void {
	terminal.input(text);
}

const atPrompt = () => lineAtCursor() === prompt;
const idle = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function connectWarren(target: Extract<ClientTarget, { kind: "warren" }>): Link {
	let socket: WebSocket | undefined;
	let resets = 0;
	const loop = new TerminalClientLoop(
		{
			monotonic: () => performance.now(),
			after: (ms, action) => {
				const timer = setTimeout(action, ms);
				return { cancel: () => clearTimeout(timer) };
			},
			openSocket: (handlers) => {
				// The bench's own nodes, on loopback, with a CA that was made a moment ago.
				const ws = new WebSocket(target.url, ["warren.v1"], {
					headers: { ...target.headers },
					rejectUnauthorized: false,
					perMessageDeflate: false,
				});
				socket = ws;
				ws.binaryType = "nodebuffer";
				ws.on("upgrade", (response) => response.socket.setNoDelay(true));
				ws.on("open", handlers.opened);
				ws.on("message", (data) => handlers.message(data as Buffer));
				ws.on("close", (code, reason) => handlers.closed(code, reason.toString()));
				ws.on("error", () => {});
				return { send: (bytes) => ws.send(bytes), close: (code, reason) => ws.close(code, reason) };
			},
			write,
			notice: (notice) => {
				if (notice.type === "reset") resets += 1;
				if (notice.type === "stopped" && notice.reason.kind === "refused") {
					answer({ failed: `refused: ${notice.reason.code} ${notice.reason.message}` });
				}
			},
		},
		{ cols, rows, mode: "fit", fraction: Math.random, limits: { firstRetryMs: 20 } },
	);
	loop.start();
	terminal.onData((data) => loop.type(Buffer.from(data)));
	return {
		cut: () => socket?.terminate(),
		live: () => loop.state === "live",
		resets: () => resets,
		close: () => loop.close(),
	};
}

/** As wetty's page does: strings over socket.io, a commit for each 256 KiB parsed. */
function connectWetty(target: Extract<ClientTarget, { kind: "wetty" }>): Link {
	const { io } = createRequire(import.meta.url)(target.clientModule);
	const socket = io(target.url, { path: "/socket.io", transports: ["websocket"] });
	let uncommitted = 0;
	socket.on("login", () => socket.emit("resize", { cols, rows }));
	socket.on("data", (data: string) =>
		write(data, () => {
			uncommitted += data.length;
			if (uncommitted < 256 * 1024) return;
			socket.emit("commit", uncommitted);
			uncommitted = 0;
		}),
	);
	terminal.onData((data: string) => socket.emit("input", data));
	return {
		cut: () => socket.io.engine.close(),
		live: () => socket.connected,
		resets: () => 0,
		close: () => socket.close(),
	};
}

async function keys(link: Link, count: number): Promise<Answer> {
	type("clear; cat\r");
	await shown(() => lineAtCursor() === "" && screen().every((line) => line === ""));
	const samplesMs: number[] = [];
	for (let typed = 0; typed < count; typed += 1) {
		if (typed % 50 === 49) {
			type("\r");
			await shown(() => lineAtCursor() === "");
		}
		await idle(15 + (typed % 11));
		const before = lineAtCursor();
		const key = String.fromCharCode(97 + (typed % 26));
		const start = performance.now();
		type(key);
		await shown(() => lineAtCursor() === before + key);
		samplesMs.push(performance.now() - start);
	}
	type("\u0003");
	await shown(atPrompt);
	return { samplesMs };
}

async function interrupt(link: Link, floodMs: number): Promise<Answer> {
	type("clear\r");
	await shown(atPrompt);
	type("yes\r");
	await shown(() => screen()[5] === "y");
	const before = parsedBytes;
	await idle(floodMs);
	const start = performance.now();
	type("\u0003");
	await shown(atPrompt);
	return { ms: performance.now() - start, bytes: parsedBytes - before };
}

async function file(link: Link, path: string): Promise<Answer> {
	type("clear\r");
	await shown(atPrompt);
	const before = parsedBytes;
	const start = performance.now();
	type(`cat ${path}; echo all''over\r`);
	await shown(() => screen().includes("allover"));
	return { ms: performance.now() - start, bytes: parsedBytes - before };
}

async function cuts(link: Link, count: number, seed: number): Promise<Answer> {
	const random = new SeededRandom(seed);
	type("clear\r");
	await shown(atPrompt);
	type("while :; do i=$((i+1)); echo number $i; done\r");
	for (let done = 0; done < count; done += 1) {
		const target = parsedBytes + 1 + random.integer(20_000);
		await shown(() => parsedBytes >= target);
		await until(link.live);
		link.cut();
		await until(() => !link.live());
	}
	await until(link.live);
	type("\u0003");
	await shown(atPrompt);
	type("clear; seq 1 30\r");
	await shown(() => screen()[29] === "30" && atPrompt());
	return { screen: screen(), resets: link.resets(), cuts: count };
}

async function stall(link: Link, floodMs: number): Promise<Answer> {
	type("clear\r");
	await shown(atPrompt);
	type("while :; do printf '\\033[3%dmflood %s\\033[0m\\n' $((i%8)) $i; i=$((i+1)); done\r");
	await shown(() => screen()[5]?.startsWith("flood") === true);
	stalled = true;
	await idle(floodMs);
	return { done: true };
}

async function until(holds: () => boolean): Promise<void> {
	const giveUpAt = performance.now() + giveUpMs;
	while (!holds()) {
		if (performance.now() > giveUpAt) throw new Error(`waited ${giveUpMs} ms in vain for ${holds.toString()}`);
		await new Promise((resolve) => setImmediate(resolve));
	}
}

function answer(value: Answer): void {
	process.send?.(value);
}

const target = JSON.parse(process.argv[2] ?? "{}") as ClientTarget;
const link = target.kind === "warren" ? connectWarren(target) : connectWetty(target);

async function perform(task: Task): Promise<Answer> {
	switch (task.do) {
		case "keys":
			return keys(link, task.count);
		case "interrupt":
			return interrupt(link, task.floodMs);
		case "file":
			return file(link, task.path);
		case "cuts":
			return cuts(link, task.count, task.seed);
		case "stall":
			return stall(link, task.floodMs);
		case "leave":
			stalled = false;
			withheld = [];
			link.close();
			process.disconnect?.();
			return { done: true };
	}
}

process.on("message", (task: Task) => {
	void perform(task)
		.catch((thrown: Error): Answer => ({ failed: thrown.message }))
		.then((value) => {
			if (process.connected) answer(value);
			else process.exit(0);
		});
});
shown(atPrompt).then(
	() => answer({ ready: true }),
	(thrown: Error) => answer({ failed: thrown.message }),
);
