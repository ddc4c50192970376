import { existsSync } from "node:fs";
import type { ConditionKind } from "@warren/kernel";

/** Health conditions of the terminal. */
export const terminalConditions = {
	tmuxMissing: {
		code: "tmux-missing",
		severity: "warning",
		title: "tmux is not installed on this machine, so it has no terminals.",
		advice: "Install it: {command}",
		delayMs: 0,
	},
	tmuxOld: {
		code: "tmux-old",
		severity: "warning",
		title: "tmux {version} is too old: terminals need 3.2 or later.",
		advice: "Install a newer one: {command}",
		delayMs: 0,
	},
} as const satisfies Record<string, ConditionKind>;

const packageTools: readonly (readonly [string, string])[] = [
	["/usr/bin/apt-get", "sudo apt install tmux"],
	["/usr/bin/dnf", "sudo dnf install tmux"],
	["/usr/bin/pacman", "sudo pacman -S tmux"],
	["/usr/bin/zypper", "sudo zypper install tmux"],
	["/sbin/apk", "sudo apk add tmux"],
];

/** The line that installs tmux here. */
export function installLine(platform: NodeJS.Platform, exists: (path: string) => boolean = existsSync): string {
	if (platform === "darwin") return "brew install tmux";
	if (platform === "win32") return "wsl --install, then inside it: sudo apt install tmux";
	return packageTools.find(([tool]) => exists(tool))?.[1] ?? "install the package tmux of your system";
}
