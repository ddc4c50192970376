import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Why a test can make no network namespaces here; null = it can. */
export function namespacesMissing(prefix: string): string | null {
	if (process.platform !== "linux" || process.getuid?.() !== 0) return "network namespaces need root on Linux";
	const probe = `${prefix}${process.pid}-probe`;
	const made = spawnSync("ip", ["netns", "add", probe]).status === 0;
	spawnSync("ip", ["netns", "del", probe]);
	return made ? null : "no network namespaces can be made here";
}

/** Removes the namespaces PREFIXpid-… that a run which was killed left behind. */
export function reapDead(prefix: string): void {
	const listed = spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout ?? "";
	for (const [name, pid] of listed.matchAll(new RegExp(`^${prefix}(\\d+)-\\S+`, "gm")))
		if (!existsSync(`/proc/${pid}`)) spawnSync("ip", ["netns", "del", name]);
}
