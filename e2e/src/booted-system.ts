import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { delay, systemClock } from "@warren/kernel";
import { run } from "@warren/net";
import { tempFolder } from "@warren/testkit";

const init = "/lib/systemd/systemd";
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** This machine's files with a layer of memory over them, and nothing of its processes, network, clock or settings. */
const boot = `set -eu
top=$1; repository=$2; without=$3; root=$top/root
mount --make-rprivate /
mount -t tmpfs warren "$top"
mkdir "$top/upper" "$top/work" "$root"
mount -t overlay warren -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$root"
for each in $without; do ln -sf /dev/null "$root/etc/systemd/system/$each"; done
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for each in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$each"; done
chmod 1777 "$root/tmp"
# After that: it may be in one of them.
mkdir -p "$root$repository"
mount --bind "$repository" "$root$repository"
mkdir "$root/dev/pts" "$root/dev/shm"
for each in null zero full random urandom tty; do touch "$root/dev/$each"; mount --bind "/dev/$each" "$root/dev/$each"; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ip link set lo up
cd "$root"
exec env -i container=warren PATH=${path} chroot . ${init} --unit=multi-user.target --show-status=no`;

const separate = ["--fork", "--kill-child", "--pid", "--mount", "--net", "--uts", "--ipc", "--cgroup"];

/** Why no system can be booted here, or null. */
export function cannotBoot(): string | null {
	if (process.getuid?.() !== 0) return "a system of its own is booted as root";
	if (!existsSync(init)) return "there is no systemd to boot";
	if (groups() === null) return "there are no control groups of version 2 for its services";
	const tried = spawnSync("unshare", [...separate, "mount", "-t", "tmpfs", "none", "/mnt"], { encoding: "utf8" });
	return tried.status === 0 ? null : `namespaces of its own are refused here: ${tried.stderr.trim()}`;
}

/** Where control groups of version 2 are. */
function groups(): string | null {
	const line = readFileSync("/proc/mounts", "utf8")
		.split("\n")
		.find((each) => each.split(" ")[2] === "cgroup2");
	return line?.split(" ")[1] ?? null;
}

const maxTries = 600;
const betweenTriesMs = 100;

/** A Debian that systemd has booted, on this machine's files as they are: what it changes is forgotten with it. */
export class BootedSystem implements AsyncDisposable {
	readonly #outside: ChildProcess;
	readonly #group: string;
	readonly #folder: Disposable;
	#init = "";

	private constructor(outside: ChildProcess, group: string, folder: Disposable) {
		this.#outside = outside;
		this.#group = group;
		this.#folder = folder;
	}

	/**
	 * Resolves once its services have been started, or have failed to.
	 * @param repository can be read inside, at its own path. @param without units that may be here and must not be there.
	 */
	static async start(repository: string, without: readonly string[] = []): Promise<BootedSystem> {
		const folder = tempFolder("booted");
		const group = join(groups() ?? "", `warren-test-${process.pid}`);
		mkdirSync(group);
		const enter = `echo 0 >"$0/cgroup.procs" && exec "$@"`;
		const words = ["unshare", ...separate, "sh", "-c", boot, "boot", folder.path, repository, without.join(" ")];
		// Ends with this process, however that ends.
		const outside = spawn("setpriv", ["--pdeathsig", "KILL", "sh", "-c", enter, group, ...words], {
			stdio: ["ignore", "ignore", "inherit"],
		});
		const ended = once(outside, "exit").then(() => {
			throw new Error("the system did not boot");
		});
		const system = new BootedSystem(outside, group, folder);
		try {
			await Promise.race([system.#booted(), ended]);
			return system;
		} catch (fault) {
			await system[Symbol.asyncDispose]();
			throw fault;
		}
	}

	/** A service of this machine's that cannot start in there is not waited for. */
	async #booted(): Promise<void> {
		for (let tries = 0; tries < maxTries; tries++) {
			await delay(systemClock, betweenTriesMs);
			const init = initOf(this.#outside);
			if (init === null) continue;
			this.#init = init;
			const { text } = await this.run(["systemctl", "is-system-running", "--wait"]);
			if (/^(running|degraded)$/m.test(text)) return;
		}
		throw new Error("the system was not up in time");
	}

	/** Inside, as root. @returns its exit code and all that it wrote. */
	async run(
		words: readonly string[],
		env: Readonly<Record<string, string>> = {},
	): Promise<{ code: number; text: string }> {
		const enter = ["-t", this.#init, "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w"];
		const done = await run("nsenter", [...enter, ...words], {
			timeoutMs: 300_000,
			env: { PATH: path, LANG: "C.UTF-8", ...env },
		});
		if (done.outcome !== "exited") throw new Error(`${words[0]}: ${done.message}`);
		return { code: done.code, text: done.stdout + done.stderr };
	}

	/** @throws Error with what it wrote, unless it ended well. */
	async ask(...words: readonly string[]): Promise<string> {
		const { code, text } = await this.run(words);
		if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}: ${text}`);
		return text.trim();
	}

	async write(file: string, text: string, mode = "0644"): Promise<void> {
		await this.ask("sh", "-c", `printf %s "$1" >"$0" && chmod ${mode} "$0"`, file, text);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		// Every process of it at once, process 1 among them.
		writeFileSync(join(this.#group, "cgroup.kill"), "1");
		for (let tries = 0; tries < maxTries && isPopulated(this.#group); tries++) await delay(systemClock, betweenTriesMs);
		removeGroup(this.#group);
		this.#folder[Symbol.dispose]();
	}
}

function isPopulated(group: string): boolean {
	return readFileSync(join(group, "cgroup.events"), "utf8").includes("populated 1");
}

/** Its process 1, as this machine numbers it; null until that is systemd. */
function initOf({ pid }: ChildProcess): string | null {
	try {
		const [child = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
		return readFileSync(`/proc/${child}/comm`, "utf8").trim() === "systemd" ? child : null;
	} catch {
		// Not there yet, or gone already.
		return null;
	}
}

/** What its services left, innermost first. */
function removeGroup(group: string): void {
	for (const each of readdirSync(group, { withFileTypes: true }))
		if (each.isDirectory()) removeGroup(join(group, each.name));
	rmdirSync(group);
}
