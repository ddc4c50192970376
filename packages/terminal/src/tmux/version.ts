import { run } from "@warren/net";

/** The oldest tmux with what is used here: client flags (`-f ignore-size`), `terminal-features`, subscriptions. */
export const oldestTmux = { major: 3, minor: 2 } as const;

const versionMs = 5_000;

export type TmuxFitness =
	| { readonly state: "fit" }
	| { readonly state: "missing" }
	| { readonly state: "old"; readonly version: string };

/** Looks at the installed tmux. A version that cannot be read (`tmux master`) is taken for a new one. */
export async function tmuxFitness(
	program: string,
	environment: Readonly<Record<string, string>>,
): Promise<TmuxFitness> {
	const result = await run(program, ["-V"], { timeoutMs: versionMs, env: environment });
	if (result.outcome === "missing" || result.outcome === "denied") return { state: "missing" };
	return result.outcome === "exited" ? readVersion(result.stdout) : { state: "fit" };
}

/** @param text what `tmux -V` prints: `tmux 3.3a`, `tmux next-3.6`, `tmux openbsd-7.4`. */
export function readVersion(text: string): TmuxFitness {
	const match = /^tmux (?:next-)?(\d+)\.(\d+)[a-z]?\s*$/.exec(text);
	if (match === null) return { state: "fit" };
	const [major, minor] = [Number(match[1]), Number(match[2])];
	const old = major < oldestTmux.major || (major === oldestTmux.major && minor < oldestTmux.minor);
	return old ? { state: "old", version: text.slice(5).trim() } : { state: "fit" };
}
