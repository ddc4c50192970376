import { join } from "node:path";
import {
	type Authenticator,
	type Clock,
	type DeviceId,
	firstOf,
	HealthTable,
	silentLogger,
	systemClock,
	systemRandom,
	type Timer,
} from "@warren/kernel";
import { dialWebSocket, EventFeed, HostTable, Listener, type WebSocketConnection } from "@warren/net";
import { openSqliteTables, type Tables } from "@warren/store";
import { tempFolder } from "@warren/testkit";
import { type ClientNotice, TerminalClientLoop } from "./protocol/client-loop.ts";
import type { ViewerMode } from "./protocol/frames.ts";
import { terminalRoutes } from "./routes/terminal-routes.ts";
import { type TerminalTables, terminalSchema } from "./schema.ts";
import { type TerminalOptions, TerminalService } from "./terminal-service.ts";
import { ownSocket } from "./tmux/socket.ts";
import { until } from "./tmux/tmux.testing.ts";
import { TmuxServer } from "./tmux/tmux-server.ts";

/** Any `wd_NAME` is a device of that name. */
const testDevices: Authenticator = {
	kinds: ["device"],
	async authenticate(credential) {
		if (credential.scheme !== "bearer" || !credential.token.startsWith("wd_")) return null;
		const name = credential.token.slice(3);
		return { ok: true, kind: "device", identity: { kind: "device", deviceId: name as DeviceId, name } };
	},
};

/** The system's time, which a test may move on: what falls due by that is done at once. */
export class MovableClock implements Clock {
	readonly #waiting = new Set<{ readonly at: number; readonly act: () => void }>();
	#movedMs = 0;

	now(): number {
		return systemClock.now() + this.#movedMs;
	}

	monotonic(): number {
		return systemClock.monotonic() + this.#movedMs;
	}

	after(delayMs: number, action: () => void): Timer {
		const cancel = () => {
			this.#waiting.delete(waits);
			timer.cancel();
		};
		const act = () => {
			cancel();
			action();
		};
		const waits = { at: this.monotonic() + delayMs, act };
		const timer = systemClock.after(delayMs, act);
		this.#waiting.add(waits);
		return { cancel };
	}

	move(ms: number): void {
		this.#movedMs += ms;
		for (const { at, act } of [...this.#waiting]) if (at <= this.monotonic()) act();
	}
}

/** A node that has terminals only, on loopback, with its own tmux server. */
export class TestNode {
	readonly folder = tempFolder("terminal");
	readonly health = new HealthTable(systemClock);
	readonly feed = new EventFeed();
	readonly audited: { action: string; target: string }[] = [];
	service!: TerminalService;
	listener!: Listener;
	#tables!: Tables<TerminalTables>;
	readonly #terminals: TestTerminal[] = [];
	readonly #connections: WebSocketConnection[] = [];

	static async open(options: Partial<TerminalOptions> = {}, clock: Clock = systemClock): Promise<TestNode> {
		const node = new TestNode();
		node.#tables = await openSqliteTables<TerminalTables>(":memory:", [terminalSchema]);
		const audit = {
			record: (event: { action: string; target: string }) => void node.audited.push(event),
			list: async () => [],
		};
		node.service = await TerminalService.open(
			{
				clock,
				random: systemRandom,
				logger: silentLogger,
				health: node.health,
				audit,
				events: node.feed,
				db: node.#tables.db,
			},
			{
				socketPath: node.socketPath,
				environment: { PATH: process.env["PATH"], HOME: node.folder.path, SHELL: "/bin/sh", PS1: "$ " },
				home: node.folder.path,
				userSockets: false,
				uid: process.getuid?.() ?? null,
				platform: process.platform,
				...options,
			},
		);
		node.listener = await Listener.open(
			{ clock: systemClock, logger: silentLogger },
			{
				role: "node",
				host: "127.0.0.1",
				port: 0,
				tls: null,
				hosts: new HostTable(["127.0.0.1"]),
				routes: [...terminalRoutes(node.service), node.feed.route("node", "/ws/~events", ["device"])],
				authenticator: firstOf(testDevices, node.service.shares),
			},
		);
		return node;
	}

	get socketPath(): string {
		return join(this.folder.path, "tmux");
	}

	get origin(): string {
		return `http://127.0.0.1:${this.listener.port}`;
	}

	async call(method: string, path: string, body?: unknown, token = "wd_me"): Promise<{ status: number; body: any }> {
		const response = await fetch(`${this.origin}${path}`, {
			method,
			headers: {
				authorization: `Bearer ${token}`,
				...(body === undefined || body instanceof Uint8Array ? {} : { "content-type": "application/json" }),
			},
			...(body === undefined ? {} : { body: body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body) }),
		});
		const text = await response.text();
		return { status: response.status, body: text === "" ? null : JSON.parse(text) };
	}

	/** @returns the new session's id. */
	async session(name: string, command?: string): Promise<string> {
		const { status, body } = await this.call("POST", "/api/sessions", {
			name,
			...(command === undefined ? {} : { command }),
		});
		if (status !== 201) throw new Error(`no session: ${JSON.stringify(body)}`);
		return body.id;
	}

	/** A bare socket, for what no client of ours would send. */
	async dial(path: string, token = "wd_me"): Promise<WebSocketConnection> {
		const result = await dialWebSocket(`${this.origin.replace("http", "ws")}${path}`, systemClock, {
			headers: { authorization: `Bearer ${token}` },
		});
		if (!result.ok) throw new Error(result.message);
		this.#connections.push(result.connection);
		return result.connection;
	}

	terminal(session: string, options: TestTerminalOptions = {}): TestTerminal {
		const terminal = new TestTerminal(this, session, options);
		this.#terminals.push(terminal);
		return terminal;
	}

	async close(): Promise<void> {
		for (const terminal of this.#terminals) terminal.loop.close();
		for (const connection of this.#connections) connection.terminate();
		this.service.close();
		await this.listener.close();
		const environment = { PATH: process.env["PATH"] ?? "" };
		await new TmuxServer(ownSocket(this.socketPath), { environment, platform: process.platform }).kill();
		await this.#tables.close();
		this.folder[Symbol.dispose]();
	}
}

export interface TestTerminalOptions {
	readonly mode?: ViewerMode;
	readonly cols?: number;
	readonly rows?: number;
	readonly token?: string;
	/** Called with what parses a write; unless given, writes parse at once. */
	readonly parse?: (parsed: () => void) => void;
}

/** A client whose terminal is a heap of bytes. */
export class TestTerminal {
	readonly loop: TerminalClientLoop;
	readonly notices: ClientNotice[] = [];
	#pieces: Buffer[] = [];
	bytes = 0;
	#connection: WebSocketConnection | undefined;

	constructor(node: TestNode, session: string, options: TestTerminalOptions) {
		const { cols = 80, rows = 24, mode = "fit", token = "wd_me" } = options;
		this.loop = new TerminalClientLoop(
			{
				monotonic: () => systemClock.monotonic(),
				after: (ms, action) => systemClock.after(ms, action),
				openSocket: (handlers) => {
					let closed = false;
					const dialled = node.dial(`/ws/${encodeURIComponent(session)}`, token).then(
						(connection) => {
							this.#connection = connection;
							connection.onMessage((data) => handlers.message(new Uint8Array(data)));
							connection.onClose((code, reason) => {
								if (!closed) handlers.closed(code, reason);
							});
							handlers.opened();
							return connection;
						},
						() => handlers.closed(1006, "") as never,
					);
					return {
						send: (bytes) => void dialled.then((connection) => connection.send(bytes)),
						close: (code, reason) => {
							closed = true;
							void dialled.then((connection) => connection.close(code, reason));
						},
					};
				},
				write: (bytes, parsed) => {
					this.#pieces.push(Buffer.from(bytes));
					this.bytes += bytes.length;
					if (options.parse === undefined) parsed();
					else options.parse(parsed);
				},
				notice: (notice) => this.notices.push(notice),
			},
			{ cols, rows, mode, fraction: () => 0, limits: { firstRetryMs: 20 } },
		);
		this.loop.start();
	}

	get output(): Buffer {
		this.#pieces = [Buffer.concat(this.#pieces)];
		return this.#pieces[0] as Buffer;
	}

	get text(): string {
		return this.output.toString("utf8");
	}

	type(text: string): boolean {
		return this.loop.type(Buffer.from(text));
	}

	/** The network goes: no close frame, on either side. */
	cut(): void {
		this.#connection?.terminate();
	}

	pause(): void {
		this.#connection?.pause();
	}

	resume(): void {
		this.#connection?.resume();
	}

	shows(text: string): Promise<void> {
		return until(() => this.text.includes(text));
	}

	live(): Promise<void> {
		return until(() => this.loop.state === "live");
	}

	async notice<T extends ClientNotice["type"]>(type: T): Promise<Extract<ClientNotice, { type: T }>> {
		await until(() => this.notices.some((each) => each.type === type));
		return this.notices.find((each) => each.type === type) as Extract<ClientNotice, { type: T }>;
	}
}
