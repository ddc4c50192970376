import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
	chmodSync,
	cpSync,
	existsSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	realpathSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";

const repository = join(import.meta.dirname, "../../..");
const programs = [
	"sh",
	"mount",
	"modprobe",
	"ip",
	"nft",
	"ping",
	"sysctl",
	"cat",
	"sleep",
	"which",
	"dmesg",
	"tail",
	"grep",
	"date",
] as const;
/** With what WireGuard, nftables and the tests' cables need. */
const moduleFolders = ["net", "crypto", "lib", "arch/x86/crypto", "drivers/net/wireguard"] as const;
const moduleFiles = ["drivers/net/veth.ko", "drivers/net/tun.ko"] as const;
/** A busy host starves it: on a quiet one it is a few minutes. */
const bootTimeoutMs = 60 * 60_000;
/** What the kernel says of a process that crashed, and of itself. */
const crashWords = "segfault|general protection|traps:|Code: |BUG|Oops|Out of memory";
const maxNamesBytes = 16 * 1024 * 1024;

/** Of an install, what no script of ours starts there: an agent, browsers, a bundler. */
const leftOut = /^(opencode-|@cloudflare\/|@img\/|@rolldown\/)/;

export interface GuestScript {
	/** Of the repository, with its whole path. */
	readonly script: string;
	readonly args?: readonly string[];
	/** Folders of the packages that it needs, below the repository; what they depend on comes along. */
	readonly packages: readonly string[];
	/** Of this host's, beside what every script has. */
	readonly programs?: readonly string[];
}

/** Why a machine with a kernel of its own cannot be started here; null = it can. */
export function missingForGuest(more: readonly string[] = []): string | null {
	const kernel = process.env["WARREN_TEST_KERNEL"];
	if (kernel === undefined)
		return "WARREN_TEST_KERNEL names no unpacked kernel package (a folder with boot/vmlinuz-* and lib/modules/*)";
	if (!existsSync(join(kernel, "boot"))) return `${kernel} has no folder boot`;
	for (const tool of ["qemu-system-x86_64", "cpio", "depmod", "ldd", ...programs, ...more])
		if (spawnSync("which", [tool]).status !== 0) return `${tool} is not installed`;
	return process.arch === "x64" ? null : `the machine is emulated for x64 alone; this is ${process.arch}`;
}

/**
 * Starts a machine with the kernel that WARREN_TEST_KERNEL names, emulated, which runs one of our scripts and stops.
 * @returns what the script wrote, by lines. @throws Error when it did not come to its end, or a process of it crashed.
 */
export async function runInGuest({ script, args = [], packages, programs: more = [] }: GuestScript): Promise<string[]> {
	const folder = mkdtempSync(join(tmpdir(), "warren-guest-"));
	try {
		const root = join(folder, "root");
		const kernel = process.env["WARREN_TEST_KERNEL"] as string;
		copyPrograms(root, [...programs, ...more]);
		copyModules(root, kernel);
		copyRepository(root, packages);
		writeFileSync(join(root, "init"), initOf([join("/warren", relative(repository, script)), ...args]));
		chmodSync(join(root, "init"), 0o755);
		const archive = join(folder, "initrd");
		// Node's own recursive look would follow the links out of the folder.
		const names = execFileSync("find", [".", "-print0"], { cwd: root, maxBuffer: maxNamesBytes });
		execFileSync("cpio", ["-o", "-H", "newc", "-0", "--quiet", "-D", root, "-F", archive], { input: names });
		rmSync(root, { recursive: true });
		return await boot(kernel, archive);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

async function boot(kernel: string, archive: string): Promise<string[]> {
	const image = readdirSync(join(kernel, "boot")).find((name) => name.startsWith("vmlinuz"));
	if (image === undefined) throw new Error(`${kernel}/boot has no vmlinuz`);
	const child = spawn(
		"qemu-system-x86_64",
		[
			// One processor: beside a second one, emulated in a thread of its own, a few in a hundred of Node's processes
			// crashed, by all signs also such as call nothing native of ours. A run takes up to twice as long.
			...["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "2048", "-nodefaults", "-no-reboot"],
			...["-display", "none", "-serial", "stdio", "-kernel", join(kernel, "boot", image), "-initrd", archive],
			...["-append", "console=ttyS0 quiet panic=-1 rdinit=/init"],
		],
		{ stdio: ["ignore", "pipe", "inherit"], timeout: bootTimeoutMs, killSignal: "SIGKILL" },
	);
	const lines: string[] = [];
	for await (const line of createInterface({ input: child.stdout })) {
		const text = line.replace(/\r$/, "");
		if (process.env["WARREN_TEST_GUEST_CONSOLE"] === "1") process.stderr.write(`${text}\n`);
		lines.push(text);
	}
	const [, code = "none"] = lines.map((line) => /^guest: end (\d+)$/.exec(line)).find((match) => match !== null) ?? [];
	if (code !== "0") throw new Error(`The machine did not come to its end (${code}):\n${lines.slice(-30).join("\n")}`);
	const crashes = lines.filter((line) => /^\[ *\d+\.\d+\] /.test(line) && new RegExp(crashWords).test(line));
	if (crashes.length > 0) throw new Error(`A process in the machine crashed:\n${crashes.join("\n")}`);
	return lines;
}

function initOf(script: readonly string[]): string {
	return [
		"#!/bin/sh",
		"export PATH=/bin LANG=C HOME=/root",
		"mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs dev /dev",
		"mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /run",
		"ip link set lo up",
		// Emulated, what takes longest is to read and compile the same files for each process.
		"export NODE_COMPILE_CACHE=/tmp/compiled",
		// Node's own handler would end a process that crashed by a signal of its own, and the kernel could not tell where it was.
		"export NODE_OPTIONS=--disable-wasm-trap-handler",
		"for each in wireguard veth tun nf_tables; do modprobe $each; done",
		`node ${script.map((each) => `'${each}'`).join(" ")}`,
		// A process that crashed says nothing itself; the console is quiet, and the kernel's last lines speak of cables.
		`status=$?; dmesg | grep -E '${crashWords}'; test $status = 0 || dmesg | tail -n 20; echo "guest: end $status"`,
		"echo o > /proc/sysrq-trigger",
		"sleep 60",
		"",
	].join("\n");
}

function copyPrograms(root: string, names: readonly string[]): void {
	for (const name of ["bin", "proc", "sys", "dev", "tmp", "run", "root", "etc", "var"])
		mkdirSync(join(root, name), { recursive: true });
	symlinkSync("/run", join(root, "var/run"));
	const found = [...names.map((name) => [name, execFileSync("which", [name], { encoding: "utf8" }).trim()])];
	for (const [name = "", path = ""] of [...found, ["node", process.execPath]]) {
		cpSync(realpathSync(path), join(root, "bin", name));
		// A script has no libraries.
		const listed = spawnSync("ldd", [path], { encoding: "utf8" }).stdout;
		for (const [library] of listed.matchAll(/\/\S+(?= \(0x)/g)) {
			mkdirSync(join(root, dirname(library)), { recursive: true });
			if (!existsSync(join(root, library))) cpSync(realpathSync(library), join(root, library));
		}
	}
	symlinkSync("/bin", join(root, "sbin"));
	mkdirSync(join(root, "usr"), { recursive: true });
	symlinkSync("/bin", join(root, "usr/bin"));
	symlinkSync("/bin", join(root, "usr/sbin"));
}

function copyModules(root: string, kernel: string): void {
	const [version = ""] = readdirSync(join(kernel, "lib/modules"));
	const from = join(kernel, "lib/modules", version);
	const to = join(root, "lib/modules", version);
	for (const name of [...moduleFolders, ...moduleFiles])
		cpSync(join(from, "kernel", name), join(to, "kernel", name), { recursive: true });
	for (const name of readdirSync(from).filter((each) => each.startsWith("modules.")))
		cpSync(join(from, name), join(to, name));
	execFileSync("depmod", ["-b", root, version]);
}

/** Packages and all that they depend on, where they are in the repository. */
function copyRepository(root: string, packages: readonly string[]): void {
	const to = join(root, "warren");
	const seen = new Set<string>();
	const take = (folder: string): void => {
		const real = realpathSync(folder);
		if (folder !== real) link(folder, to);
		if (seen.has(real)) return;
		seen.add(real);
		const own = join(real, "node_modules");
		cpSync(real, join(to, relative(repository, real)), { recursive: true, filter: (path) => path !== own });
		const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
			readFileSync(join(real, "package.json"), "utf8"),
		) as Record<string, Record<string, string> | undefined>;
		for (const name of [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]) {
			const found = leftOut.test(name) ? null : resolve(real, name);
			if (found !== null) take(found);
		}
	};
	for (const folder of packages) take(join(repository, folder));
	writeFileSync(join(to, "package.json"), JSON.stringify({ type: "module", private: true }));
}

function link(path: string, to: string): void {
	const at = join(to, relative(repository, path));
	mkdirSync(dirname(at), { recursive: true });
	if (lstatSync(at, { throwIfNoEntry: false }) === undefined && lstatSync(path).isSymbolicLink())
		symlinkSync(join("/warren", relative(repository, realpathSync(path))), at);
}

function resolve(from: string, name: string): string | null {
	for (let folder = from; folder.startsWith(repository); folder = dirname(folder)) {
		const candidate = join(folder, "node_modules", name);
		if (existsSync(candidate)) return candidate;
	}
	return null;
}
