import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "@warren/net";
import { sshObstacle } from "./ssh.ts";

export const peers = ["frp", "chisel", "rathole", "ssh"] as const;
export type Peer = (typeof peers)[number];
type Built = Exclude<Peer, "ssh">;

const versions: Readonly<Record<Built, string>> = { frp: "v0.71.0", chisel: "v1.12.1", rathole: "0.5.0" };
/** Each is built once, in a folder that a later run finds again; removing it builds anew. */
const folderOf = (peer: Built) => join(tmpdir(), "warren-bench-tunnel-peers", `${peer}-${versions[peer]}`);
const buildMs = 20 * 60_000;

export const programs = {
	frps: join(folderOf("frp"), "bin", "frps"),
	frpc: join(folderOf("frp"), "bin", "frpc"),
	chisel: join(folderOf("chisel"), "bin", "chisel"),
	rathole: join(folderOf("rathole"), "bin", "rathole"),
};

/** For the first line of a run. */
export function versionOf(peer: Peer): string {
	if (peer !== "ssh") return `${peer} ${versions[peer].replace(/^v/, "")}`;
	return `ssh -R ${spawnSync("ssh", ["-V"], { encoding: "utf8" }).stderr.split(",")[0]}`;
}

/** Builds a peer from its registry. @returns why it cannot be measured here, or null. */
export async function obstacle(peer: Peer): Promise<string | null> {
	if (peer === "ssh") return sshObstacle();
	const needed = peer === "frp" ? [programs.frps, programs.frpc] : [programs[peer]];
	if (needed.every((file) => existsSync(file))) return null;
	mkdirSync(join(folderOf(peer), "bin"), { recursive: true });
	try {
		await { frp: buildFrp, chisel: buildChisel, rathole: buildRathole }[peer]();
		return null;
	} catch (fault) {
		return `${peer} ${versions[peer]} could not be built: ${(fault as Error).message}`;
	}
}

/** Without its pages, which its module does not hold as built. */
const buildFrp = () =>
	buildGo("frp", "github.com/fatedier/frp", { "./cmd/frps": "frps", "./cmd/frpc": "frpc" }, ["-tags", "noweb"]);
const buildChisel = () => buildGo("chisel", "github.com/jpillora/chisel", { ".": "chisel" });

/** From the module's own folder: one that replaces another module builds nowhere else. */
async function buildGo(
	peer: Built,
	module: string,
	parts: Readonly<Record<string, string>>,
	flags: readonly string[] = [],
): Promise<void> {
	const folder = folderOf(peer);
	const found = await build("go", ["mod", "download", "-json", `${module}@${versions[peer]}`], folder);
	const source = join(folder, "source");
	rmSync(source, { recursive: true, force: true });
	cpSync((JSON.parse(found) as { Dir: string }).Dir, source, { recursive: true });
	await build("chmod", ["-R", "u+w", source], folder);
	// By the compiler that is here: the one that a module suggests may not be had.
	for (const [part, name] of Object.entries(parts))
		await build("env", ["GOTOOLCHAIN=local", "go", "build", ...flags, "-o", join(folder, "bin", name), part], source);
}

/** Without its lockfile: what that pins is too old for today's compilers. */
async function buildRathole(): Promise<void> {
	const folder = folderOf("rathole");
	const features = ["--no-default-features", "--features", "server,client"];
	await build("cargo", ["install", "rathole", "--version", versions.rathole, "--root", folder, ...features], folder);
}

async function build(program: string, args: readonly string[], cwd: string): Promise<string> {
	const result = await run(program, args, { timeoutMs: buildMs, cwd, maxOutputBytes: 1024 * 1024 });
	if (result.outcome !== "exited") throw new Error(result.message);
	if (result.code !== 0) throw new Error(/^error.*/m.exec(result.stderr)?.[0] ?? result.stderr.trim().slice(-300));
	return result.stdout;
}
