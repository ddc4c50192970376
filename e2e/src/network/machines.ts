import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";

/** Where a node of a test lives: what it is run through, and the address that the others dial. */
export interface Machine {
	readonly host: string;
	readonly through: readonly string[];
}

export interface Machines extends Disposable {
	/** Network namespaces on a bridge where the system lets us (root on Linux), this machine's loopback otherwise. */
	readonly kind: "namespaces" | "loopback";
	readonly all: readonly Machine[];
}

const prefix = "warren";

/** Names carry this process's id, so that what a killed run left behind is found and removed by the next. */
export function openMachines(count: number): Machines {
	if (process.platform !== "linux" || process.getuid?.() !== 0 || !ip("netns", "list")) return loopback(count);
	reapLeftovers();
	const bridge = `${prefix}b${process.pid}`;
	const namespaces = Array.from({ length: count }, (_, index) => `${prefix}-${process.pid}-${index}`);
	const remove = () => {
		for (const each of namespaces) ip("netns", "del", each);
		ip("link", "del", bridge);
	};
	// Private, so that a warren's CA may speak for it; in a corner that few networks use.
	const subnet = `10.219.${randomInt(256)}`;
	const made =
		ip("link", "add", bridge, "type", "bridge") &&
		// An address that comes of itself a second later would break off what browsers have asked for.
		ip("link", "set", bridge, "addrgenmode", "none") &&
		ip("addr", "add", `${subnet}.1/24`, "dev", bridge) &&
		ip("link", "set", bridge, "up") &&
		namespaces.every((name, index) => {
			const [outer, inner] = [`w${process.pid}o${index}`, `w${process.pid}i${index}`];
			return (
				ip("netns", "add", name) &&
				ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name) &&
				ip("link", "set", outer, "addrgenmode", "none") &&
				ip("link", "set", outer, "master", bridge, "up") &&
				ip("-n", name, "link", "set", inner, "addrgenmode", "none") &&
				ip("-n", name, "addr", "add", `${subnet}.${index + 2}/24`, "dev", inner) &&
				ip("-n", name, "link", "set", inner, "up") &&
				ip("-n", name, "link", "set", "lo", "up")
			);
		});
	if (!made) {
		// Root in name only (containers): the same test, on loopback.
		remove();
		return loopback(count);
	}
	return {
		kind: "namespaces",
		all: namespaces.map((name, index) => ({
			host: `${subnet}.${index + 2}`,
			through: ["ip", "netns", "exec", name],
		})),
		[Symbol.dispose]: remove,
	};
}

function loopback(count: number): Machines {
	const all = Array.from({ length: count }, () => ({ host: "127.0.0.1", through: [] }));
	return { kind: "loopback", all, [Symbol.dispose]: () => {} };
}

function reapLeftovers(): void {
	const names = spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout;
	for (const [name, pid] of names.matchAll(new RegExp(`^${prefix}-(\\d+)-\\d+`, "gm")))
		if (!isRunning(Number(pid))) ip("netns", "del", name);
	const links = spawnSync("ip", ["-o", "link", "show", "type", "bridge"], { encoding: "utf8" }).stdout;
	for (const [, name = "", pid] of links.matchAll(new RegExp(`^\\d+: (${prefix}b(\\d+)):`, "gm")))
		if (!isRunning(Number(pid))) ip("link", "del", name);
}

function ip(...args: string[]): boolean {
	return spawnSync("ip", args, { stdio: "ignore" }).status === 0;
}

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (fault) {
		return (fault as NodeJS.ErrnoException).code === "EPERM";
	}
}
