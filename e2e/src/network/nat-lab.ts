import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { namespacesMissing, reapDead } from "./namespaces.ts";

/** `cone` keeps a socket's port whoever is spoken to; `symmetric` gives each destination another. Both refuse what was not asked for. */
export type NatKind = "cone" | "symmetric";

export interface LabHost {
	readonly name: string;
	readonly namespace: string;
	/** What a program is run through to be on it. */
	readonly through: readonly string[];
	/** As the internet sees it; null = it has no address of that family. */
	readonly v4: string | null;
	readonly v6: string | null;
}

export interface LabRouter extends LabHost {
	/** Numbers its networks. */
	readonly index: number;
	lans: number;
}

const prefix = "wrnat";
const commandTimeoutMs = 90_000;

/**
 * An internet of network namespaces: one in the middle, public hosts, and routers with hosts behind them that all have
 * the same private addresses. Interfaces are made inside, never in the machine's own network.
 */
export class NatLab implements Disposable {
	readonly #internet: LabHost;
	readonly #namespaces: string[] = [];
	#networks = 0;

	/** Why it cannot be made here; null = it can. */
	static missing(): string | null {
		if (process.platform !== "linux" || process.getuid?.() !== 0) return "the overlay's devices need root on Linux";
		if (!existsSync("/dev/net/tun")) return "there is no /dev/net/tun";
		for (const [tool, flag] of [
			["nft", "--version"],
			["conntrack", "--version"],
			["ping", "-V"],
			["sysctl", "--version"],
		] as const)
			if (spawnSync(tool, [flag]).status !== 0) return `${tool} is not installed`;
		return namespacesMissing(prefix);
	}

	constructor() {
		reapDead(prefix);
		this.#internet = this.#host("internet");
		this.#forward(this.#internet);
	}

	/** A host with public addresses. */
	public(name: string, families: readonly ("v4" | "v6")[] = ["v4", "v6"]): LabHost {
		return this.#attach(name, families).host;
	}

	/** A router; its firewall lets nothing in that was not asked for. */
	router(name: string, nat: NatKind): LabRouter {
		const { host, index } = this.#attach(name, ["v4", "v6"]);
		this.#forward(host);
		this.run(host, "nft", [
			`add table inet guard
			add chain inet guard in { type filter hook input priority 0; }
			add rule inet guard in iifname wan ct state new meta l4proto udp drop
			add chain inet guard through { type filter hook forward priority 0; }
			add rule inet guard through iifname wan ct state new drop`,
		]);
		this.setNat(host, nat);
		return { ...host, index, lans: 0 };
	}

	/** Another NAT from now on; what the old one knew is forgotten. */
	setNat(router: LabHost, nat: NatKind): void {
		spawnSync("ip", ["netns", "exec", router.namespace, "nft", "delete table ip nat"], { stdio: "ignore" });
		this.run(router, "nft", [
			`add table ip nat
			add chain ip nat out { type nat hook postrouting priority 100; }
			add rule ip nat out oifname wan masquerade ${nat === "symmetric" ? "fully-random" : ""}`,
		]);
		this.forgetFlows(router);
	}

	forgetFlows(router: LabHost): void {
		this.run(router, "conntrack", ["-F"]);
	}

	/** A host on a network of its own behind a router: 192.168.1.2 behind each router's first one. */
	behind(router: LabRouter, name: string): LabHost {
		const lan = ++router.lans;
		const host = this.#host(name);
		this.#cable(host, "wan", router, `lan${lan}`, 1500);
		this.ip(router, "addr", "add", `192.168.${lan}.1/24`, "dev", `lan${lan}`);
		this.ip(host, "addr", "add", `192.168.${lan}.2/24`, "dev", "wan");
		this.ip(host, "route", "add", "default", "via", `192.168.${lan}.1`);
		return { ...host, v4: router.v4 };
	}

	/** v6 for a host behind a router, with addresses that the whole internet routes. @returns the host's. */
	giveV6(router: LabRouter, host: LabHost, lan = 1): string {
		const net = `2001:db8:${router.index}0${lan}`;
		this.ip(router, "addr", "add", `${net}::1/64`, "dev", `lan${lan}`, "nodad");
		this.ip(this.#internet, "route", "add", `${net}::/64`, "via", router.v6 as string);
		this.ip(host, "addr", "add", `${net}::2/64`, "dev", "wan", "nodad");
		this.ip(host, "route", "add", "default", "via", `${net}::1`);
		return `${net}::2`;
	}

	/** Another public address for a router or host, as its provider may give it; the old one is gone. @returns it. */
	renumber(host: LabHost): string {
		const old = host.v4 as string;
		const parts = old.split(".");
		const next = [...parts.slice(0, 3), String(Number(parts[3]) + 1)].join(".");
		// In this order: with the first address of a network the system removes the later ones.
		this.ip(host, "addr", "del", `${old}/28`, "dev", "wan");
		this.ip(host, "addr", "add", `${next}/28`, "dev", "wan");
		const gateway = [...parts.slice(0, 3), String(Number(parts[3]) - 1)].join(".");
		this.ip(host, "route", "replace", "default", "via", gateway);
		this.forgetFlows(host);
		return next;
	}

	/** Nothing by UDP between two addresses any more, or all of it again. */
	cut(a: LabHost, b: LabHost): void {
		this.run(this.#internet, "nft", [
			`add table inet cut
			add chain inet cut through { type filter hook forward priority 0; }
			add rule inet cut through ip saddr ${a.v4} ip daddr ${b.v4} meta l4proto udp drop
			add rule inet cut through ip saddr ${b.v4} ip daddr ${a.v4} meta l4proto udp drop`,
		]);
	}

	mend(): void {
		this.run(this.#internet, "nft", ["delete table inet cut"]);
	}

	/** How large a packet the way to a host may be, from now on. Both ends say so to whoever sends more. */
	setMtu(host: LabHost, bytes: number): void {
		this.ip(host, "link", "set", "wan", "mtu", String(bytes));
		this.ip(this.#internet, "link", "set", `to-${host.name}`.slice(0, 15), "mtu", String(bytes));
	}

	/** No fragment gets through any more, as behind many firewalls. */
	dropFragments(): void {
		this.run(this.#internet, "nft", [
			`add table ip whole
			add chain ip whole through { type filter hook forward priority 0; }
			add rule ip whole through ip frag-off & 0x3fff != 0 drop`,
		]);
	}

	/** @returns the share of pings that came back, in percent. */
	ping(host: LabHost, to: string, count = 3): number {
		const args = [...host.through.slice(1), "ping", "-c", String(count), "-i", "0.2", "-W", "20", to];
		const { stdout } = spawnSync(host.through[0] as string, args, { encoding: "utf8", timeout: commandTimeoutMs });
		return 100 - Number(/ ([\d.]+)% packet loss/.exec(stdout)?.[1] ?? 100);
	}

	/** Pings until one comes back, or for so long. */
	isReached(host: LabHost, to: string, seconds: number): boolean {
		const args = [...host.through.slice(1), "ping", "-c", "1", "-w", String(seconds), "-i", "0.5", to];
		return spawnSync(host.through[0] as string, args, { timeout: (seconds + 5) * 1000 }).status === 0;
	}

	/** @throws Error with its output when it fails. */
	run(host: LabHost, program: string, args: readonly string[]): string {
		const done = spawnSync(host.through[0] as string, [...host.through.slice(1), program, ...args], {
			encoding: "utf8",
			timeout: commandTimeoutMs,
		});
		if (done.status !== 0) {
			const end = done.signal ?? done.status;
			throw new Error(`${program} ${args.join(" ")} on ${host.name} ended with ${end}: ${done.stdout}${done.stderr}`);
		}
		return done.stdout;
	}

	ip(host: LabHost, ...args: readonly string[]): void {
		ip("-n", host.namespace, ...args);
	}

	[Symbol.dispose](): void {
		for (const name of this.#namespaces) spawnSync("ip", ["netns", "del", name]);
	}

	#attach(name: string, families: readonly ("v4" | "v6")[]): { readonly host: LabHost; readonly index: number } {
		const host = this.#host(name);
		const index = ++this.#networks;
		const end = `to-${name}`.slice(0, 15);
		this.#cable(host, "wan", this.#internet, end, 1500);
		const at = (last: number) => `203.0.113.${index * 16 + last}`;
		const v4 = families.includes("v4") ? at(2) : null;
		const v6 = families.includes("v6") ? `2001:db8:${index}::2` : null;
		if (v4 !== null) {
			this.ip(this.#internet, "addr", "add", `${at(1)}/28`, "dev", end);
			this.ip(host, "addr", "add", `${v4}/28`, "dev", "wan");
			this.ip(host, "route", "add", "default", "via", at(1));
		}
		if (v6 !== null) {
			this.ip(this.#internet, "addr", "add", `2001:db8:${index}::1/64`, "dev", end, "nodad");
			this.ip(host, "addr", "add", `${v6}/64`, "dev", "wan", "nodad");
			this.ip(host, "route", "add", "default", "via", `2001:db8:${index}::1`);
		}
		return { host: { ...host, v4, v6 }, index };
	}

	#host(name: string): LabHost {
		const namespace = `${prefix}${process.pid}-${name}`;
		ip("netns", "add", namespace);
		this.#namespaces.push(namespace);
		const host = { name, namespace, through: ["ip", "netns", "exec", namespace], v4: null, v6: null };
		this.ip(host, "link", "set", "lo", "up");
		return host;
	}

	#cable(a: LabHost, aEnd: string, b: LabHost, bEnd: string, mtu: number): void {
		const peer = ["type", "veth", "peer", "name", bEnd, "mtu", String(mtu), "netns", b.namespace];
		this.ip(a, "link", "add", aEnd, "mtu", String(mtu), ...peer);
		this.ip(a, "link", "set", aEnd, "up");
		this.ip(b, "link", "set", bEnd, "up");
	}

	#forward(host: LabHost): void {
		this.run(host, "sysctl", ["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
	}
}

function ip(...args: readonly string[]): void {
	const done = spawnSync("ip", args, { encoding: "utf8", timeout: commandTimeoutMs });
	if (done.status !== 0) throw new Error(`ip ${args.join(" ")}: ${done.stderr}`);
}
