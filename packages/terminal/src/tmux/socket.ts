import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { terminalError } from "../errors.ts";

/** A tmux server's socket, as this node offers it. */
export interface TmuxSocket {
	/** Stands before the dot in a session's id. */
	readonly key: string;
	readonly path: string;
	/** Ours: we may set its options. The user's own are never tuned. */
	readonly own: boolean;
}

/** The key of this product's own socket. */
export const ownSocketKey = "warren";

/** A socket's path must fit `sockaddr_un`, 104 bytes on macOS with its NUL. */
export const maxSocketPathBytes = 103;

/** More sockets than this in the user's folder are not offered. */
export const maxUserSockets = 16;

/** @throws WarrenError `bad_socket` when the path is too long for a socket. */
export function ownSocket(path: string): TmuxSocket {
	const bytes = Buffer.byteLength(path);
	if (bytes > maxSocketPathBytes) {
		throw terminalError("bad_socket", `The tmux socket ${path} has ${bytes} bytes; ${maxSocketPathBytes} fit.`, {
			fix: "Use a data folder with a shorter path: --data DIR",
		});
	}
	return { key: ownSocketKey, path, own: true };
}

/** Where tmux keeps the sockets of this user. */
export function userSocketFolder(environment: Readonly<Record<string, string | undefined>>, uid: number): string {
	return join(environment["TMUX_TMPDIR"] || "/tmp", `tmux-${uid}`);
}

/**
 * The user's own tmux sockets: real sockets of this very user, in a folder that only this user may write. A folder or a
 * socket that is anything else is passed over: whoever made it could make us type into it.
 */
export function findUserSockets(folder: string, uid: number, except: string): TmuxSocket[] {
	let names: string[];
	try {
		const stats = lstatSync(folder);
		if (!stats.isDirectory() || stats.uid !== uid || (stats.mode & 0o022) !== 0) return [];
		names = readdirSync(folder);
	} catch {
		// No folder: tmux was never started here.
		return [];
	}
	const sockets: TmuxSocket[] = [];
	for (const name of names.sort()) {
		const path = join(folder, name);
		if (path === except || !/^[A-Za-z0-9_-]{1,64}$/.test(name) || !isOwnSocketFile(path, uid)) continue;
		sockets.push({ key: name === ownSocketKey ? `${name}-user` : name, path, own: false });
	}
	return sockets.slice(0, maxUserSockets);
}

function isOwnSocketFile(path: string, uid: number): boolean {
	try {
		const stats = lstatSync(path);
		return stats.isSocket() && stats.uid === uid;
	} catch {
		// Gone since the folder was read.
		return false;
	}
}
