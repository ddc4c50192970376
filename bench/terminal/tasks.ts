/** What the client process is told to do, and what it answers. One terminal a process. */
export type ClientTarget =
	| { readonly kind: "warren"; readonly url: string; readonly headers: Readonly<Record<string, string>> }
	/** @see wetty.ts; `clientModule` is the socket.io client's entry, installed at bench time. */
	| { readonly kind: "wetty"; readonly url: string; readonly clientModule: string };

export type Task =
	/** Types `count` characters, each after an idle moment, and times key → glyph in the parsed screen. */
	| { readonly do: "keys"; readonly count: number }
	/** Runs `yes` for so long, then Ctrl-C; times until the prompt stands again. */
	| { readonly do: "interrupt"; readonly floodMs: number }
	/** Times `cat FILE` to the marker behind it. */
	| { readonly do: "file"; readonly path: string }
	/** Cuts the connection at random while numbers count up; gives the screen at the end. */
	| { readonly do: "cuts"; readonly count: number; readonly seed: number }
	/** Floods and stops reading, until told to go on by the next task. */
	| { readonly do: "stall"; readonly floodMs: number }
	| { readonly do: "leave" };

export type Answer =
	| { readonly ready: true }
	| { readonly samplesMs: readonly number[] }
	| { readonly ms: number; readonly bytes: number }
	| { readonly screen: readonly string[]; readonly resets: number; readonly cuts: number }
	| { readonly done: true }
	| { readonly failed: string };

/** What the shell of every session asks with: found in the screen, found again after Ctrl-C. */
export const prompt = "READY> ";
