import { spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
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
	readonly #folder: string;
	readonly #bin: string;
	#databases = 0;

	constructor() {
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
			const options = `-c listen_addresses='' -c fsync=off -k ${this.host}`;
			this.#run("pg_ctl", ["-D", this.#data, "-w", "-l", join(this.#folder, "log"), "-o", options, "start"]);
		} catch (failure) {
			rmSync(this.#folder, { recursive: true, force: true });
			throw failure;
		}
	}

	/** An empty database. @returns its name. */
	createDatabase(): string {
		const name = `test${++this.#databases}`;
		this.#run("createdb", ["-h", this.host, "-U", this.user, name]);
		return name;
	}

	[Symbol.dispose](): void {
		this.#run("pg_ctl", ["-D", this.#data, "-m", "immediate", "-w", "stop"]);
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
