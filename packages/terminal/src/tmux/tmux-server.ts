import { type RunResult, run } from "@warren/net";
import { terminalError } from "../errors.ts";
import { FieldReader, field } from "./fields.ts";
import { escapeArgument, escapeFormat } from "./names.ts";
import {
	groupPanes,
	type PaneNumber,
	paneFolder,
	paneFormat,
	readAll,
	readPane,
	readSession,
	type SessionNumber,
	sessionFormat,
	type TmuxSession,
	type TmuxWindow,
	type WindowNumber,
} from "./rows.ts";
import type { TmuxSocket } from "./socket.ts";
import { tuning } from "./tuning.ts";

export const tmuxLimits = {
	/** One command, from spawn to exit. */
	commandMs: 5_000,
	/** What one command may print: a scrollback of 50,000 wide coloured lines is the largest. */
	maxOutputBytes: 32 * 1024 * 1024,
	maxHistoryLines: 20_000,
	maxSearchMatches: 1_000,
} as const;

export interface TmuxServerDeps {
	readonly environment: Readonly<Record<string, string>>;
	readonly platform: NodeJS.Platform;
	/** The program; `tmux` unless a test says otherwise. */
	readonly program?: string;
}

/**
 * One tmux server, spoken to by its command line. The list of commands is closed: nothing here passes a command of a
 * client through. A server that is not running answers as one without sessions.
 */
export class TmuxServer {
	readonly socket: TmuxSocket;
	readonly #deps: TmuxServerDeps;

	constructor(socket: TmuxSocket, deps: TmuxServerDeps) {
		this.socket = socket;
		this.#deps = deps;
	}

	/** Arguments that every client of this server begins with. `-f /dev/null`: our own server starts with our options only. */
	get clientArguments(): string[] {
		return ["-u", "-S", this.socket.path, ...(this.socket.own ? ["-f", "/dev/null"] : [])];
	}

	get program(): string {
		return this.#deps.program ?? "tmux";
	}

	get environment(): Readonly<Record<string, string>> {
		return this.#deps.environment;
	}

	/** @throws WarrenError `tmux_missing`, `tmux_timeout`, `tmux_failed`. */
	async sessions(): Promise<TmuxSession[]> {
		const answer = await this.#try(["list-sessions", "-F", sessionFormat]);
		if (answer.refused !== undefined) {
			if (isNoServer(answer.refused)) return [];
			throw failed("list the sessions", answer.refused);
		}
		return readAll(answer.text, readSession);
	}

	/** @throws WarrenError `unknown_session`. */
	async session(number: SessionNumber): Promise<TmuxSession> {
		const found = (await this.sessions()).find((each) => each.number === number);
		if (found === undefined) throw unknownSession(number);
		return found;
	}

	/**
	 * @param name already checked against the rule.
	 * @throws WarrenError `session_exists`.
	 */
	async createSession(options: {
		readonly name: string;
		readonly cwd: string;
		readonly command?: string;
	}): Promise<SessionNumber> {
		const tuned = this.socket.own ? ["start-server", ";", ...tuning(this.#deps.platform)] : [];
		const create = [
			"new-session",
			"-d",
			"-P",
			"-F",
			"#{session_id}",
			"-s",
			options.name,
			"-c",
			escapeFormat(options.cwd),
		];
		const command = options.command === undefined ? [] : ["--", escapeArgument(options.command)];
		const answer = await this.#try([...tuned, ...create, "-x", "120", "-y", "40", ...command]);
		if (answer.refused === undefined) return answer.text.trim() as SessionNumber;
		if (answer.refused.includes("duplicate session")) {
			throw terminalError("session_exists", `There is a session named "${options.name}" already.`);
		}
		throw failed("create the session", answer.refused);
	}

	async renameSession(session: SessionNumber, name: string): Promise<void> {
		const answer = await this.#try(this.#checked(["rename-session", "-t", session, name]));
		if (answer.refused?.includes("duplicate session")) {
			throw terminalError("session_exists", `There is a session named "${name}" already.`);
		}
		if (answer.refused !== undefined) throw this.#unknown(answer.refused, session, "rename the session");
	}

	async killSession(session: SessionNumber): Promise<void> {
		await this.#do(["kill-session", "-t", session], session, "end the session");
	}

	async windows(session: SessionNumber): Promise<TmuxWindow[]> {
		const text = await this.#do(["list-panes", "-s", "-t", session, "-F", paneFormat], session, "list the windows");
		return groupPanes(readAll(text, readPane));
	}

	async createWindow(
		session: SessionNumber,
		options: { readonly name?: string; readonly cwd?: string },
	): Promise<WindowNumber> {
		const name = options.name === undefined ? [] : ["-n", options.name];
		const cwd = options.cwd === undefined ? [] : ["-c", escapeFormat(options.cwd)];
		// The colon: without it a session's number would be looked up as a window.
		const target = ["new-window", "-P", "-F", "#{window_id}", "-t", `${session}:`, ...name, ...cwd];
		return (await this.#do(target, session, "open a window")).trim() as WindowNumber;
	}

	async renameWindow(window: WindowNumber, name: string): Promise<void> {
		await this.#do(["rename-window", "-t", window, name], window, "rename the window");
	}

	async killWindow(window: WindowNumber): Promise<void> {
		await this.#do(["kill-window", "-t", window], window, "close the window");
	}

	async selectWindow(session: SessionNumber, window: WindowNumber): Promise<void> {
		await this.#do(["select-window", "-t", `${session}:${window}`], window, "select the window");
	}

	/** @throws WarrenError `no_space`. */
	async splitPane(target: WindowNumber | PaneNumber, direction: "right" | "down"): Promise<PaneNumber> {
		const split = ["split-window", direction === "right" ? "-h" : "-v", "-P", "-F", "#{pane_id}", "-t", target];
		const answer = await this.#try(this.#checked([...split, "-c", paneFolder]));
		if (answer.refused === undefined) return answer.text.trim() as PaneNumber;
		if (answer.refused.includes("no space")) {
			throw terminalError("no_space", "There is no room for another pane in this window.");
		}
		throw this.#unknown(answer.refused, target, "split the pane");
	}

	async toggleZoom(target: WindowNumber | PaneNumber): Promise<void> {
		await this.#do(["resize-pane", "-Z", "-t", target], target, "zoom the pane");
	}

	async selectPane(pane: PaneNumber): Promise<void> {
		await this.#do(["select-pane", "-t", pane], pane, "select the pane");
	}

	async killPane(pane: PaneNumber): Promise<void> {
		await this.#do(["kill-pane", "-t", pane], pane, "close the pane");
	}

	/**
	 * The scrollback with its colours, oldest first.
	 * @param lines how many, at most `tmuxLimits.maxHistoryLines`.
	 * @param before newest lines to leave out.
	 */
	async history(
		target: SessionNumber | PaneNumber,
		lines: number,
		before: number,
	): Promise<{ readonly text: string; readonly lines: number; readonly more: boolean }> {
		const pane = target.startsWith("$") ? `${target}:` : target;
		const asked = [
			"display-message",
			"-p",
			"-t",
			pane,
			field("pane_id") + field("history_size") + field("pane_height"),
		];
		const reader = new FieldReader(await this.#do(asked, target, "read the history"));
		// This command alone does not mind a target that is gone.
		if (reader.text() === "") throw this.#unknown("can't find it", target, "read the history");
		const held = reader.number();
		const newest = reader.number() - 1 - before;
		const oldest = Math.max(-held, newest - lines + 1);
		if (newest < -held) return { text: "", lines: 0, more: false };
		const range = ["-S", String(oldest), "-E", String(newest)];
		const text = await this.#do(["capture-pane", "-p", "-e", "-t", pane, ...range], target, "read the history");
		return { text, lines: newest - oldest + 1, more: oldest > -held };
	}

	/**
	 * Lines of history and screen that hold `query`, newest first; case matters only where the query has capitals.
	 * `line` counts up from the newest, 0.
	 */
	async search(
		target: SessionNumber | PaneNumber,
		query: string,
		limit: number,
	): Promise<{ readonly matches: { readonly line: number; readonly text: string }[]; readonly truncated: boolean }> {
		const pane = target.startsWith("$") ? `${target}:` : target;
		const text = await this.#do(["capture-pane", "-p", "-S", "-", "-t", pane], target, "search the history");
		const folded = query === query.toLowerCase();
		const lines = text.endsWith("\n") ? text.slice(0, -1).split("\n") : text.split("\n");
		const matches: { line: number; text: string }[] = [];
		for (let at = lines.length - 1; at >= 0; at -= 1) {
			const line = lines[at] ?? "";
			if (!(folded ? line.toLowerCase() : line).includes(query)) continue;
			if (matches.length >= limit) return { matches, truncated: true };
			matches.push({ line: lines.length - 1 - at, text: line.slice(0, 1000) });
		}
		return { matches, truncated: false };
	}

	/** The last line of each pane that is not blank. A pane that is gone has none. */
	async lastLines(panes: readonly PaneNumber[]): Promise<Map<PaneNumber, string>> {
		const lines = new Map<PaneNumber, string>();
		if (panes.length === 0) return lines;
		// A screen cannot know this mark: it is made anew each time.
		const mark = `warren-${crypto.randomUUID()}`;
		const commands = panes.flatMap((pane) => [
			"capture-pane",
			"-p",
			"-t",
			pane,
			";",
			"display-message",
			"-p",
			mark,
			";",
		]);
		const answer = await this.#try(commands.slice(0, -1));
		const screens = answer.text.split(`${mark}\n`);
		for (const [index, pane] of panes.entries()) {
			const line = screens[index]?.trimEnd().split("\n").at(-1);
			if (line !== undefined) lines.set(pane, line.slice(0, 500));
		}
		return lines;
	}

	/** Sets the flags of the client that runs as this process: whether its size counts. */
	async setClientIgnoresSize(clientPid: number, ignores: boolean): Promise<void> {
		const answer = await this.#try(["list-clients", "-F", field("client_pid") + field("client_name")]);
		if (answer.refused !== undefined) return;
		const clients = readAll(answer.text, (reader) => ({ pid: reader.number(), name: reader.text() }));
		const client = clients.find((each) => each.pid === clientPid);
		if (client === undefined) return;
		await this.#try(["refresh-client", "-t", client.name, "-f", ignores ? "ignore-size" : "!ignore-size"]);
	}

	/** Has a client draw everything again. */
	async repaint(clientPid: number): Promise<void> {
		const answer = await this.#try(["list-clients", "-F", field("client_pid") + field("client_name")]);
		const clients = readAll(answer.text, (reader) => ({ pid: reader.number(), name: reader.text() }));
		const client = clients.find((each) => each.pid === clientPid);
		if (client !== undefined) await this.#try(["refresh-client", "-t", client.name]);
	}

	/** Whether the session still exists. */
	async hasSession(session: SessionNumber): Promise<boolean> {
		return (await this.#try(["has-session", "-t", session])).refused === undefined;
	}

	/** Ends the whole server. For tests and for uninstalling; only ever on our own socket. */
	async kill(): Promise<void> {
		if (!this.socket.own) throw new Error("only our own tmux server may be ended");
		await this.#try(["kill-server"]);
	}

	async #do(args: readonly string[], target: string, task: string): Promise<string> {
		const answer = await this.#try(this.#checked(args));
		if (answer.refused !== undefined) throw this.#unknown(answer.refused, target, task);
		return answer.text;
	}

	/** @returns what it printed; `refused` = what it said when it exited with a failure. */
	async #try(args: readonly string[]): Promise<{ readonly text: string; readonly refused?: string }> {
		const result = await run(this.program, [...this.clientArguments, ...args], {
			timeoutMs: tmuxLimits.commandMs,
			maxOutputBytes: tmuxLimits.maxOutputBytes,
			env: this.#deps.environment,
		});
		return readResult(result);
	}

	/** A name as a target would match by prefix and by glob, and end the wrong session. */
	#checked(args: readonly string[]): readonly string[] {
		for (let at = args.indexOf("-t"); at !== -1; at = args.indexOf("-t", at + 1)) {
			const target = args[at + 1] ?? "";
			if (!/^[$@%]\d+:?(@\d+)?$/.test(target)) throw new Error(`"${target}" is no number of tmux's`);
		}
		return args;
	}

	#unknown(refused: string, target: string, task: string) {
		if (isNoServer(refused) || /can't find|no such|not found/.test(refused)) {
			if (target.startsWith("@")) return terminalError("unknown_window", `There is no window ${target.slice(1)} here.`);
			if (target.startsWith("%")) return terminalError("unknown_pane", `There is no pane ${target.slice(1)} here.`);
			return unknownSession(target);
		}
		return failed(task, refused);
	}
}

function readResult(result: RunResult): { readonly text: string; readonly refused?: string } {
	switch (result.outcome) {
		case "exited":
			if (result.code === 0) return { text: result.stdout };
			return { text: result.stdout, refused: result.stderr.trim() || `exit code ${result.code}` };
		case "missing":
		case "denied":
			throw terminalError("tmux_missing", `tmux cannot be run: ${result.message}.`);
		case "timeout":
			throw terminalError("tmux_timeout", `tmux did not answer: ${result.message}.`, {
				fix: "Try again; if it goes on, look for a stopped tmux server with: ps -C tmux",
			});
		case "too-much-output":
		case "aborted":
			throw terminalError("tmux_failed", `tmux was stopped: ${result.message}.`);
	}
}

function isNoServer(refused: string): boolean {
	return /no server running|error connecting to|server exited|lost server|no sessions/.test(refused);
}

function unknownSession(number: string) {
	return terminalError("unknown_session", `There is no session ${number.slice(1)} here.`);
}

function failed(task: string, refused: string) {
	return terminalError("tmux_failed", `tmux could not ${task}: ${refused.slice(0, 300)}.`);
}
