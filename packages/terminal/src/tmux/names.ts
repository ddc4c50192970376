/** The rule that names of sessions, windows and uploads' sessions follow, in words. */
export const nameRule =
	"A name begins with a letter, a digit or _ and goes on with up to 63 letters, digits, spaces, _ or -.";

const name = /^[\p{L}\p{N}_][\p{L}\p{N} _-]{0,63}$/u;

/**
 * Whether tmux may be given this as a name. Names are formats to tmux (`#(…)` runs a command, `##` escapes), `.` and `:`
 * are rewritten, a trailing `;` is eaten: none of them is in the rule.
 */
export function isName(value: string): boolean {
	return name.test(value);
}

/** A value for an argument that tmux expands as a format and splits at `;`: a folder, mostly. */
export function escapeFormat(value: string): string {
	return escapeArgument(value.replaceAll("#", "##"));
}

/** A value for an argument that tmux takes as it is, but for a trailing `;`, which would end the command. */
export function escapeArgument(value: string): string {
	return value.endsWith(";") ? `${value.slice(0, -1)}\\;` : value;
}
