import { type FSWatcher, watch as watchFolder } from "node:fs";
import { stat } from "node:fs/promises";
import {
	type Audit,
	badRequest,
	type Clock,
	type Closeable,
	type ConditionKind,
	closeCodes,
	type EventSink,
	type HealthTable,
	type Logger,
	messageOf,
	type Random,
	WarrenError,
} from "@warren/kernel";
import type { Kysely } from "kysely";
import { installLine, terminalConditions } from "./conditions.ts";
import { terminalError } from "./errors.ts";
import type { ExitReason } from "./protocol/index.ts";
import type { TerminalTables } from "./schema.ts";
import { type Share, Shares } from "./shares.ts";
import { tmuxEnvironment } from "./tmux/environment.ts";
import type { SessionNumber, TmuxSession } from "./tmux/rows.ts";
import type { TmuxEvent } from "./tmux/snapshot-changes.ts";
import { findUserSockets, ownSocket, ownSocketKey, type TmuxSocket, userSocketFolder } from "./tmux/socket.ts";
import { SocketWatch } from "./tmux/socket-watch.ts";
import { TmuxServer } from "./tmux/tmux-server.ts";
import { tmuxFitness } from "./tmux/version.ts";
import { uploadLimits } from "./upload.ts";
import { Viewers, type ViewTarget } from "./viewer/viewers.ts";

export interface TerminalDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly audit: Audit;
	/** Told of sessions, windows, bells, finished commands. */
	readonly events: EventSink;
	readonly db: Kysely<TerminalTables>;
}

export interface TerminalOptions {
	/** Where our own tmux server's socket is: in the data folder, so that two nodes never share one. */
	readonly socketPath: string;
	/** The process's environment: what of it shells may see is chosen here. */
	readonly environment: Readonly<Record<string, string | undefined>>;
	/** Where new sessions begin unless told. */
	readonly home: string;
	/** Whether the user's own tmux servers are offered, too. */
	readonly userSockets: boolean;
	/** The user's number; null where the system has none. */
	readonly uid: number | null;
	readonly platform: NodeJS.Platform;
	/** Largest upload, bytes; 1 GiB unless told. */
	readonly maxUploadBytes?: number;
	/** The tmux program; `tmux` unless told. */
	readonly program?: string;
}

/** A session as the API shows it. */
export interface SessionView {
	/** Socket key, dot, tmux's number. */
	readonly id: string;
	readonly name: string;
	readonly windows: number;
	readonly attached: number;
	readonly createdUnix: number;
	readonly activityUnix: number;
	readonly socket: string;
	readonly own: boolean;
	readonly command: string;
	readonly cwd: string;
	readonly lastLine: string;
	readonly bell: boolean;
	readonly width: number;
	readonly height: number;
	readonly viewers: number;
}

export interface SessionListing {
	readonly sessions: readonly SessionView[];
	readonly condition?: { readonly code: string; readonly title: string; readonly advice: string };
}

/** A session that a request named, with the server that has it. */
export interface FoundSession {
	readonly id: string;
	readonly server: TmuxServer;
	readonly session: TmuxSession;
}

interface Watched {
	readonly server: TmuxServer;
	readonly watch: SocketWatch;
}

/** The terminals of one node: its tmux servers, their sessions, who watches them, and what is told to pages. */
export class TerminalService implements Closeable {
	readonly viewers: Viewers;
	readonly audit: Audit;
	readonly clock: Clock;
	readonly random: Random;
	readonly maxUploadBytes: number;
	readonly #deps: TerminalDeps;
	readonly #options: TerminalOptions;
	readonly #environment: Readonly<Record<string, string>>;
	readonly #servers = new Map<string, Watched>();
	readonly #userFolder: string | null;
	/** Sessions that were ended through us, so that their viewers are told "killed". */
	readonly #killed = new Set<string>();
	#shares!: Shares;
	#folderWatch: FSWatcher | undefined;
	#fit = false;
	#closed = false;

	private constructor(deps: TerminalDeps, options: TerminalOptions) {
		this.#deps = deps;
		this.#options = options;
		this.audit = deps.audit;
		this.clock = deps.clock;
		this.random = deps.random;
		this.maxUploadBytes = options.maxUploadBytes ?? uploadLimits.maxBytes;
		this.#environment = tmuxEnvironment(options.environment);
		this.#userFolder =
			options.userSockets && options.uid !== null ? userSocketFolder(options.environment, options.uid) : null;
		this.viewers = new Viewers({
			clock: deps.clock,
			random: deps.random,
			exitReason: (target) => this.#exitReason(target),
		});
	}

	/** @throws WarrenError `bad_socket` when the data folder's path is too long for a socket. */
	static async open(deps: TerminalDeps, options: TerminalOptions): Promise<TerminalService> {
		const service = new TerminalService(deps, options);
		service.#shares = await Shares.open(deps, (share, why) => service.#shareEnded(share, why));
		service.#addServer(ownSocket(options.socketPath));
		// Health shows it from the start, not from the first request on.
		await service.#obstacle();
		service.#refreshSockets();
		service.#watchUserFolder();
		return service;
	}

	/** Recognises the tokens of share links; composed with the node's other authenticators. */
	get shares(): Shares {
		return this.#shares;
	}

	/** Every session of every socket, ours first. */
	async list(): Promise<SessionListing> {
		const found = await this.#obstacle();
		if (found !== null) {
			const { code, title, advice } = found;
			return { sessions: [], condition: { code, title, advice } };
		}
		this.#refreshSockets();
		const lists: SessionView[][] = [];
		for (const { server, watch } of this.#servers.values()) {
			try {
				lists.push(await this.#views(server, watch));
				watch.wake();
			} catch (thrown) {
				// Uninstalled since.
				if (thrown instanceof WarrenError && thrown.code === "tmux_missing") this.#fit = false;
				if (server.socket.own) throw thrown;
				// One socket that fails hides no other.
				this.#deps.logger.warn("a tmux socket does not answer", {
					socket: server.socket.key,
					fault: messageOf(thrown),
				});
			}
		}
		return { sessions: lists.flat() };
	}

	/**
	 * @param address a session's id, or its exact name on our own socket.
	 * @throws WarrenError `unknown_session`, `tmux_missing`, `tmux_old`.
	 */
	async find(address: string): Promise<FoundSession> {
		await this.#requireTmux();
		const id = /^([A-Za-z0-9_-]{1,80})\.(\d{1,9})$/.exec(address);
		const key = id?.[1] ?? ownSocketKey;
		if (!this.#servers.has(key)) this.#refreshSockets();
		const watched = this.#servers.get(key);
		const sessions = watched === undefined ? [] : await watched.server.sessions();
		const session = sessions.find((each) => (id === null ? each.name === address : each.number === `$${id[2]}`));
		if (watched === undefined || session === undefined) {
			throw terminalError("unknown_session", `There is no session "${address.slice(0, 80)}" on this machine.`);
		}
		return { id: sessionId(watched.server, session.number), server: watched.server, session };
	}

	async view(found: FoundSession): Promise<SessionView> {
		const lines = await found.server.lastLines([found.session.pane]);
		const watch = this.#servers.get(found.server.socket.key)?.watch;
		return this.#view(found.server, watch, found.session, lines.get(found.session.pane) ?? "");
	}

	/** @throws WarrenError `session_exists`, `bad_folder`, `tmux_missing`. */
	async create(options: {
		readonly name: string;
		readonly cwd?: string;
		readonly command?: string;
	}): Promise<FoundSession> {
		await this.#requireTmux();
		const { server, watch } = this.#own;
		const cwd = options.cwd ?? this.#options.home;
		await checkFolder(cwd);
		const number = await server.createSession({ ...options, cwd });
		watch.wake();
		return { id: sessionId(server, number), server, session: await server.session(number) };
	}

	async kill(found: FoundSession): Promise<void> {
		if (this.#killed.size >= maxRememberedKills) this.#killed.clear();
		this.#killed.add(found.id);
		await found.server.killSession(found.session.number);
	}

	viewTarget({ id, server, session }: FoundSession): ViewTarget {
		const { name, number, width, height, statusLines } = session;
		return { id, name, number, server, cols: width, rows: height + statusLines };
	}

	/** Closes everything that somebody has open here: a revoked device. @param owner `describeIdentity` of it. */
	endOwner(owner: string, code: number = closeCodes.signIn, message = "this device was signed out"): void {
		this.viewers.endOwner(owner, code, "unauthorized", message);
	}

	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#folderWatch?.close();
		this.viewers.close();
		for (const { watch } of this.#servers.values()) watch.close();
		this.#shares.close();
	}

	get #own(): Watched {
		return this.#servers.get(ownSocketKey) as Watched;
	}

	#addServer(socket: TmuxSocket): void {
		const { platform, program } = this.#options;
		const deps = { environment: this.#environment, platform, ...(program === undefined ? {} : { program }) };
		const server = new TmuxServer(socket, deps);
		const watch = new SocketWatch(server, this.#deps, (event) => this.#onEvent(server, event));
		this.#servers.set(socket.key, { server, watch });
		watch.wake();
	}

	/** Offers sockets that appeared, forgets those that are gone. */
	#refreshSockets(): void {
		if (this.#userFolder === null || this.#options.uid === null || this.#closed) return;
		const found = findUserSockets(this.#userFolder, this.#options.uid, this.#options.socketPath);
		const keys = new Set([ownSocketKey, ...found.map((socket) => socket.key)]);
		for (const [key, { watch }] of this.#servers) {
			if (keys.has(key)) continue;
			watch.close();
			this.#servers.delete(key);
		}
		for (const socket of found) if (!this.#servers.has(socket.key)) this.#addServer(socket);
	}

	/** A tmux server that starts makes its socket here: the folder tells, so that nobody polls. */
	#watchUserFolder(): void {
		if (this.#userFolder === null) return;
		try {
			this.#folderWatch = watchFolder(this.#userFolder, { persistent: false }, () => {
				this.#refreshSockets();
				for (const { server, watch } of this.#servers.values()) if (!server.socket.own) watch.wake();
			});
			// The folder was removed: the next listing finds what is there then.
			this.#folderWatch.on("error", () => this.#folderWatch?.close());
		} catch {
			// No folder yet: tmux was never started by this user.
		}
	}

	async #views(server: TmuxServer, watch: SocketWatch): Promise<SessionView[]> {
		const sessions = await server.sessions();
		const lines = await server.lastLines(sessions.map((each) => each.pane));
		return sessions.map((session) => this.#view(server, watch, session, lines.get(session.pane) ?? ""));
	}

	#view(server: TmuxServer, watch: SocketWatch | undefined, session: TmuxSession, lastLine: string): SessionView {
		const id = sessionId(server, session.number);
		const ourWatch = watch?.attachedTo === session.number ? 1 : 0;
		return {
			id,
			name: session.name,
			windows: session.windows,
			attached: Math.max(0, session.attached - ourWatch),
			createdUnix: session.createdUnix,
			activityUnix: session.activityUnix,
			socket: server.socket.key,
			own: server.socket.own,
			command: session.command,
			cwd: session.cwd,
			lastLine,
			bell: session.bell,
			width: session.width,
			height: session.height,
			viewers: this.viewers.watching(id),
		};
	}

	#onEvent(server: TmuxServer, event: TmuxEvent): void {
		if (event.type === "sessions") return this.#deps.events.publish({ type: "sessions" });
		const session = sessionId(server, event.session);
		switch (event.type) {
			case "windows":
				return this.#deps.events.publish({ type: "windows", session });
			case "renamed":
				return this.viewers.renamed(session, event.name);
			case "size":
				return this.viewers.windowResized(session, event.cols, event.rows);
			case "bell":
				return this.#deps.events.publish({ type: "bell", session, window: event.window.slice(1) });
			case "command-finished": {
				const { command, durationMs } = event;
				const window = event.window.slice(1);
				return this.#deps.events.publish({ type: "command-finished", session, window, command, durationMs });
			}
		}
	}

	async #exitReason(target: ViewTarget): Promise<ExitReason> {
		if (this.#killed.has(target.id)) return "killed";
		// A tmux that does not answer is as gone as its session.
		return (await target.server.hasSession(target.number).catch(() => false)) ? "detached" : "session-ended";
	}

	#shareEnded(share: Share, why: "revoked" | "expired"): void {
		const code = why === "revoked" ? closeCodes.signIn : closeCodes.credentialsExpired;
		this.viewers.endOwner(
			`share:${share.id}`,
			code,
			"unauthorized",
			`this share link was ${why === "revoked" ? "revoked" : "over"}`,
		);
	}

	/**
	 * Whether terminals can be had here, as a condition; null when they can. A good answer is kept, a bad one asked again,
	 * so that an installation is noticed without a restart.
	 */
	async #obstacle(): Promise<Obstacle | null> {
		if (this.#fit) return null;
		const { health } = this.#deps;
		const { tmuxMissing, tmuxOld } = terminalConditions;
		const command = installLine(this.#options.platform);
		const fitness = await tmuxFitness(this.#options.program ?? "tmux", this.#environment);
		health.clear(tmuxMissing);
		health.clear(tmuxOld);
		switch (fitness.state) {
			case "fit":
				this.#fit = true;
				return null;
			case "missing":
				health.raise(tmuxMissing, { command });
				return obstacle(tmuxMissing, "tmux_missing", { command });
			case "old":
				health.raise(tmuxOld, { command, version: fitness.version });
				return obstacle(tmuxOld, "tmux_old", { command, version: fitness.version });
		}
	}

	/** @throws WarrenError `tmux_missing`, `tmux_old`. */
	async #requireTmux(): Promise<void> {
		const found = await this.#obstacle();
		if (found !== null) throw terminalError(found.error, found.title, { fix: found.advice });
	}
}

interface Obstacle {
	readonly error: "tmux_missing" | "tmux_old";
	readonly code: string;
	readonly title: string;
	readonly advice: string;
}

function obstacle(kind: ConditionKind, error: Obstacle["error"], facts: Readonly<Record<string, string>>): Obstacle {
	const fill = (text: string) => text.replace(/\{(\w+)\}/g, (whole, name: string) => facts[name] ?? whole);
	return { error, code: kind.code, title: fill(kind.title), advice: fill(kind.advice) };
}

/** Kills that are remembered for their viewers' sake; they ask within milliseconds. */
const maxRememberedKills = 1000;

function sessionId(server: TmuxServer, number: SessionNumber): string {
	return `${server.socket.key}.${number.slice(1)}`;
}

async function checkFolder(path: string): Promise<void> {
	if (!path.startsWith("/")) throw badRequest(`The folder "${path.slice(0, 200)}" is not an absolute path.`);
	let folder = false;
	try {
		folder = (await stat(path)).isDirectory();
	} catch (cause) {
		throw terminalError("bad_folder", `The folder ${path.slice(0, 200)} cannot be opened: ${messageOf(cause)}.`, {
			cause,
		});
	}
	if (!folder) throw terminalError("bad_folder", `${path.slice(0, 200)} is not a folder.`);
}
