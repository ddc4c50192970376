import { WarrenError } from "@warren/kernel";

interface Fault extends Error {
	readonly code?: string;
	readonly syscall?: string;
	readonly address?: string;
	readonly port?: number;
	readonly hostname?: string;
	readonly path?: string;
	readonly errcode?: number;
}

/** Result codes of SQLite, without their extensions: https://sqlite.org/rescode.html */
const sqlite: Readonly<Record<number, string>> = {
	8: "a database may not be written",
	10: "a database cannot be read or written",
	11: "a database is damaged",
	13: "the disk is full",
};

/** What the system refused, in words and with what to do; null when it is a fault of our own. */
export function systemFault(failure: unknown): WarrenError | null {
	if (!(failure instanceof Error) || failure instanceof WarrenError) return null;
	const { code, syscall, address, port, hostname, path, errcode, message } = failure as Fault;
	const because = { cause: failure };
	if (code === "ERR_SQLITE_ERROR" && errcode !== undefined) {
		const what = sqlite[errcode & 0xff];
		if (what === undefined) return null;
		const fix =
			(errcode & 0xff) === 11
				? "Restore a backup: warren restore FILE --force"
				: "Free disk space, correct the data folder's permissions, or choose another with --data DIR.";
		return new WarrenError("disk", `${sentence(what)}: ${message}.`, { ...because, fix });
	}
	switch (code) {
		case "EADDRNOTAVAIL":
			return new WarrenError("bad_address", `${address ?? "The address"} is no address of this machine.`, {
				...because,
				fix: "Leave out --host to listen on all addresses, or give one that `ip addr` shows.",
			});
		case "EADDRINUSE":
			return new WarrenError("port_taken", `Port ${port ?? "asked for"} is taken already.`, {
				...because,
				fix: "Stop what has it (`ss -lptn` shows it, with u for UDP), or choose another port.",
			});
		case "ENOTFOUND":
		case "EAI_AGAIN":
			return new WarrenError("unknown_name", `The name "${hostname ?? ""}" does not resolve: ${code}.`, {
				...because,
				fix: "Correct the name, or give an address.",
			});
		case "EACCES":
		case "EPERM":
			if (syscall === "listen" || syscall === "bind")
				return new WarrenError("no_permission", `This user may not listen on port ${port ?? "asked for"}.`, {
					...because,
					fix: "Choose one above 1023 with --port N, or put a proxy in front.",
				});
			return new WarrenError("no_permission", `${path ?? "A file"} may not be used by this user: ${code}.`, {
				...because,
				fix: "Correct its permissions, or choose another data folder with --data DIR.",
			});
		case "ENOSPC":
		case "EDQUOT":
			return new WarrenError("disk", `The disk is full${path === undefined ? "" : `: ${path} cannot be written`}.`, {
				...because,
				fix: "Free disk space, or choose another data folder with --data DIR.",
			});
		case "EROFS":
			return new WarrenError("disk", `${path ?? "The data folder"} is on a disk that is read-only.`, {
				...because,
				fix: "Choose another data folder with --data DIR.",
			});
		case "EMFILE":
		case "ENFILE":
			return new WarrenError("too_many_files", "The system allows this process no further files.", {
				...because,
				fix: "Raise the limit: ulimit -n 65536",
			});
		default:
			return null;
	}
}

function sentence(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}
