import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";

/** Debian's, or the one that `SSHD` names. */
export const sshd = process.env["SSHD"] ?? "/usr/sbin/sshd";
/** Where Debian's sshd wants to lock its helper in. */
const privilegeFolder = "/run/sshd";

/** @returns why `ssh -R` cannot be measured here, or null. */
export function sshObstacle(): string | null {
	if (!existsSync(sshd)) return `${sshd} is not installed (Debian's package: openssh-server)`;
	if (spawnSync("ssh", ["-V"]).error !== undefined) return "ssh is not installed (Debian's package: openssh-client)";
	if (process.getuid?.() === 0 && !existsSync(privilegeFolder)) mkdirSync(privilegeFolder, { mode: 0o755 });
	return null;
}

/** A server of its own keys, on loopback, that lets this very user in by one of them; and its client. */
export function sshArguments(
	folder: string,
	control: number,
): { server: string[]; client: (port: number) => string[] } {
	const key = (name: string) => {
		const file = join(folder, name);
		spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
		return file;
	};
	const host = key("host");
	const user = key("user");
	const config = join(folder, "sshd_config");
	writeFileSync(
		config,
		`ListenAddress 127.0.0.1:${control}\nHostKey ${host}\nAuthorizedKeysFile ${user}.pub\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nAllowTcpForwarding remote\nLogLevel QUIET\n`,
	);
	const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ExitOnForwardFailure=yes"];
	return {
		server: ["-D", "-e", "-f", config],
		client: (port) => [
			...["-F", "none", "-N", "-q", "-i", user, "-p", String(port)],
			...options.flatMap((option) => ["-o", option]),
			`${userInfo().username}@127.0.0.1`,
		],
	};
}

/** A process and what it has forked: sshd serves each client in children of its own. */
export function family(pid: number): number[] {
	if (!existsSync("/proc/self/stat")) return [pid];
	const parents = new Map<number, number>();
	for (const each of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
		try {
			const fields = readFileSync(`/proc/${each}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
			parents.set(Number(each), Number(fields[1]));
		} catch (fault) {
			// It has ended since the folder was read.
			if ((fault as NodeJS.ErrnoException).code !== "ENOENT" && (fault as NodeJS.ErrnoException).code !== "ESRCH")
				throw fault;
		}
	}
	const found = [pid];
	for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child);
	return found;
}
