/** Variables of the node itself that no shell under it should see: secrets first of all. */
const ownVariables =
	/^(WARREN_|MESH_|npm_|NODE_)|_API_KEY$|^(TMUX|TMUX_PANE|STY|WINDOW|WINDOWID|TERMCAP|COLUMNS|LINES|AUTH_URL)$/;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment that tmux, and so every shell under it, is started with: the given one without what belongs to the
 * node, and with a UTF-8 locale, as services are started without one.
 */
export function tmuxEnvironment(base: Environment): Record<string, string> {
	const environment: Record<string, string> = {};
	for (const [name, value] of Object.entries(base)) {
		if (value !== undefined && !ownVariables.test(name)) environment[name] = value;
	}
	const path = environment["PATH"]?.split(":").filter((folder) => !folder.endsWith("/node_modules/.bin"));
	if (path !== undefined) environment["PATH"] = path.join(":");
	const locale = environment["LC_ALL"] || environment["LC_CTYPE"] || environment["LANG"] || "";
	if (!/utf-?8/i.test(locale)) environment["LC_ALL"] = "C.UTF-8";
	environment["TERM"] = "xterm-256color";
	return environment;
}
