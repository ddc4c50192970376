import { spawnSync } from "node:child_process";

/** Whether tests against the real program can run here. */
export const tmuxInstalled = spawnSync("tmux", ["-V"]).status === 0;

/** What a program in a terminal does has no event to wait for: asks again until it holds, at most 30 s. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
	const giveUpAt = Date.now() + 30_000;
	while (!(await holds())) {
		if (Date.now() > giveUpAt) throw new Error(`waited 30 s in vain for ${holds.toString()}`);
		await new Promise((resolve) => setTimeout(resolve, 15));
	}
}
