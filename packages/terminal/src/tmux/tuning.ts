/** Lines of scrollback that a pane of ours keeps. */
export const historyLines = 50_000;

/**
 * What we set on our own server before each session is made, as commands joined by `;`. Never sent to another's.
 * The bell hook counts bells on the window, which the subscription in `snapshot.ts` then sees: no shell, no file.
 */
export function tuning(platform: NodeJS.Platform): string[] {
	const options: string[][] = [
		// The default of 500 ms makes Esc lag.
		["set-option", "-s", "escape-time", "10"],
		["set-option", "-s", "focus-events", "on"],
		["set-option", "-s", "set-clipboard", "on"],
		["set-option", "-s", "terminal-features[100]", "xterm*:256:RGB:clipboard:ccolour:cstyle:focus:mouse:title:usstyle"],
		["set-option", "-g", "history-limit", String(historyLines)],
		["set-option", "-g", "default-terminal", platform === "darwin" ? "screen-256color" : "tmux-256color"],
		// The page shows sessions and windows itself; on a phone every row counts.
		["set-option", "-g", "status", "off"],
		["set-option", "-g", "mouse", "on"],
		["set-option", "-g", "set-titles", "on"],
		["set-option", "-g", "set-titles-string", "#{pane_title}"],
		["set-option", "-g", "bell-action", "any"],
		["set-option", "-g", "window-size", "latest"],
		["set-hook", "-g", "alert-bell", 'set-option -wF @warren_bells "#{e|+:0#{@warren_bells},1}"'],
	];
	return options.flatMap((command) => [...command, ";"]);
}
