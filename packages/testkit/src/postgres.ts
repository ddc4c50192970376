import { spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const versionsFolder = "/usr/lib/postgresql";

/** Why there is no PostgreSQL to test with, or null when there is one. */
export function noPostgres(): string | null {
	return binaries() === null ? `no PostgreSQL under ${versionsFolder} (Debian's package: postgresql)` : null;
}

/** A PostgreSQL server of one test run: in a folder of its own, on a Unix socket, as a user that is not root. */
export class TestPostgres implements Disposable {
	/** The socket's folder: `host` for a client. */
	readonly host: string;
	readonly user = "warren";
	/** On 127.0.0.1, where one was asked for; else 0: the socket alone. */
	readonly port: number;
	readonly #folder: string;
	readonly #bin: string;
	readonly #fsync: "on" | "off";
	#databases = 0;

	/** As the server says it. */
	static version(): string {
		const said = spawnSync(join(binaries() ?? "", "postgres"), ["--version"], { encoding: "utf8" }).stdout;
		return /[\d.]+/.exec(said)?.[0] ?? "";
	}

	/**
	 * @param options.port as `freePort` gives one, to listen on 127.0.0.1 too. @param options.durable a commit waits for the
	 * disk: for what is measured. A kill loses nothing without it either; a power cut would.
	 */
	constructor(options: { readonly port?: number; readonly durable?: boolean } = {}) {
		this.port = options.port ?? 0;
		this.#fsync = options.durable === true ? "on" : "off";
		const bin = binaries();
		if (bin === null) throw new Error(noPostgres() ?? "");
		this.#bin = bin;
		this.#folder = mkdtempSync(join(tmpdir(), "warren-pg-"));
		this.host = join(this.#folder, "run");
		mkdirSync(this.host);
		const account = unprivileged();
		if (account !== null) for (const folder of [this.#folder, this.host]) chownSync(folder, account.uid, account.gid);
		try {
			this.#run("initdb", ["-D", this.#data, "-U", this.user, "--auth=trust", "-E", "UTF8", "--no-sync"]);
			this.#start();
		} catch (failure) {
			rmSync(this.#folder, { recursive: true, force: true });
			throw failure;
		}
	}

	/** An empty database. @param args of createdb. @returns its name. */
	createDatabase(args: readonly string[] = []): string {
		const name = `test${++this.#databases}`;
		const port = this.port === 0 ? [] : ["-p", String(this.port)];
		this.#run("createdb", ["-h", this.host, ...port, "-U", this.user, ...args, name]);
		return name;
	}

	/** kill -9 of the server and everything it started, until they are gone: what it had acknowledged is in its folder. */
	kill(): void {
		const pid = Number(readFileSync(join(this.#data, "postmaster.pid"), "utf8").split("\n")[0]);
		const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
		const all = [pid, ...children.map(Number)];
		for (const each of all) end(each);
		// The port is theirs as long.
		const pause = new Int32Array(new SharedArrayBuffer(4));
		while (!all.every(isGone)) Atomics.wait(pause, 0, 0, 5);
	}

	/** With the same data, at the same place. */
	restart(): void {
		// Where nobody reaps a killed process its number stays taken, and the server would take it for itself.
		rmSync(join(this.#data, "postmaster.pid"), { force: true });
		for (const each of readdirSync(this.host)) rmSync(join(this.host, each), { force: true });
		this.#start();
	}

	#start(): void {
		const listen = this.port === 0 ? "''" : "127.0.0.1";
		const port = this.port === 0 ? "" : `-p ${this.port}`;
		const options = `-c listen_addresses=${listen} ${port} -c fsync=${this.#fsync} -k ${this.host}`;
		this.#run("pg_ctl", ["-D", this.#data, "-w", "-l", join(this.#folder, "log"), "-o", options, "start"]);
	}

	[Symbol.dispose](): void {
		try {
			this.#run("pg_ctl", ["-D", this.#data, "-m", "immediate", "-w", "stop"]);
		} catch {
			// Killed, and not started again.
		}
		rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
	}

	get #data(): string {
		return join(this.#folder, "data");
	}

	#run(program: string, args: readonly string[]): void {
		// The server must not inherit a pipe: waiting for its end would wait for the server's.
		const done = spawnSync(join(this.#bin, program), args, {
			cwd: this.#folder,
			stdio: ["ignore", "ignore", program === "pg_ctl" ? "ignore" : "pipe"],
			encoding: "utf8",
			...unprivileged(),
		});
		if (done.status !== 0)
			throw new Error(`${program}: ${done.error?.message ?? done.stderr ?? `exit ${done.status}`}`);
	}
}

function end(pid: number): void {
	try {
		process.kill(pid, "SIGKILL");
	} catch {
		// Gone meanwhile.
	}
}

/** Nobody may reap it: then it is one that has ended. */
function isGone(pid: number): boolean {
	try {
		return /\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
	} catch {
		return true;
	}
}

function binaries(): string | null {
	if (!existsSync(versionsFolder)) return null;
	const newest = readdirSync(versionsFolder).sort((a, b) => Number(b) - Number(a))[0] ?? "";
	const folder = join(versionsFolder, newest, "bin");
	return existsSync(join(folder, "postgres")) ? folder : null;
}

/** PostgreSQL refuses to run as root: then as `nobody`. */
function unprivileged(): { uid: number; gid: number } | null {
	return process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : null;
}
