import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "@warren/net";
import { sshObstacle } from "./ssh.ts";

export const peers = ["frp", "chisel", "rathole", "ssh"] as const;
export type Peer = (typeof peers)[number];
type Built = Exclude<Peer, "ssh">;

/** Built once, in a folder that a later run finds again; removing it builds anew. */
const folder = join(tmpdir(), "warren-bench-tunnel-peers");
const versions: Readonly<Record<Built, string>> = { frp: "v0.61.1", chisel: "v1.10.1", rathole: "0.5.0" };
const buildMs = 20 * 60_000;

export const programs = {
	frps: join(folder, "bin", "frps"),
	frpc: join(folder, "bin", "frpc"),
	chisel: join(folder, "bin", "chisel"),
	rathole: join(folder, "bin", "rathole"),
};

/** Builds a peer from its registry. @returns why it cannot be measured here, or null. */
export async function obstacle(peer: Peer): Promise<string | null> {
	if (peer === "ssh") return sshObstacle();
	const needed = peer === "frp" ? [programs.frps, programs.frpc] : [programs[peer]];
	if (needed.every((file) => existsSync(file))) return null;
	mkdirSync(join(folder, "bin"), { recursive: true });
	try {
		await { frp: buildFrp, chisel: buildChisel, rathole: buildRathole }[peer]();
		return null;
	} catch (fault) {
		return `${peer} ${versions[peer]} could not be built: ${(fault as Error).message}`;
	}
}

const buildFrp = () => buildGo("github.com/fatedier/frp", versions.frp, { "./cmd/frps": "frps", "./cmd/frpc": "frpc" });
const buildChisel = () => buildGo("github.com/jpillora/chisel", versions.chisel, { ".": "chisel" });

/** From the module's own folder: one that replaces another module builds nowhere else. */
async function buildGo(module: string, version: string, parts: Readonly<Record<string, string>>): Promise<void> {
	const found = await build("go", ["mod", "download", "-json", `${module}@${version}`], folder);
	const source = join(folder, "source");
	rmSync(source, { recursive: true, force: true });
	cpSync((JSON.parse(found) as { Dir: string }).Dir, source, { recursive: true });
	await build("chmod", ["-R", "u+w", source], folder);
	for (const [part, name] of Object.entries(parts))
		await build("go", ["build", "-o", join(folder, "bin", name), part], source);
}

/** Without its lockfile: what that pins is too old for today's compilers. */
async function buildRathole(): Promise<void> {
	const features = ["--no-default-features", "--features", "server,client"];
	await build("cargo", ["install", "rathole", "--version", versions.rathole, "--root", folder, ...features], folder);
}

async function build(program: string, args: readonly string[], cwd: string): Promise<string> {
	const result = await run(program, args, { timeoutMs: buildMs, cwd, maxOutputBytes: 1024 * 1024 });
	if (result.outcome !== "exited") throw new Error(result.message);
	if (result.code !== 0) throw new Error(/^error.*/m.exec(result.stderr)?.[0] ?? result.stderr.trim().slice(-300));
	return result.stdout;
}
