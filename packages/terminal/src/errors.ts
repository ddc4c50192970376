import { defineErrors } from "@warren/kernel";
import { nameRule } from "./tmux/names.ts";

/** Everything that this package refuses, by code. */
export const terminalError = defineErrors({
	bad_name: { status: 400, fix: nameRule },
	unknown_session: { status: 404, fix: "The list of sessions may have changed: fetch it again." },
	unknown_window: { status: 404, fix: "The list of windows may have changed: fetch it again." },
	unknown_pane: { status: 404, fix: "The list of panes may have changed: fetch it again." },
	unknown_share: { status: 404, fix: "The list of shares may have changed: fetch it again." },
	session_exists: { status: 409, fix: "Choose another name." },
	file_exists: { status: 409, fix: "Choose another name: an upload never writes over a file." },
	no_space: { status: 409, fix: "Close a pane, or make the terminal larger." },
	bad_folder: { status: 400 },
	upload_too_large: { status: 413 },
	upload_failed: { status: 500, retryable: true },
	upload_cut: { status: 400, retryable: true, fix: "Send the file again." },
	too_many: { status: 429, retryable: true },
	share_forbidden: { status: 403 },
	tmux_missing: { status: 503 },
	tmux_old: { status: 503 },
	tmux_failed: { status: 500, retryable: true },
	tmux_timeout: { status: 503, retryable: true },
	bad_socket: { status: 500 },
});
