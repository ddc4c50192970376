import { spawnSync } from "node:child_process";
import type { Machine } from "./machines.ts";
import { namespacesMissing, reapDead } from "./namespaces.ts";

const prefix = "wrlan";

/**
 * One home's network: a namespace for each of its devices, all on a switch that stands in a namespace of its own. The
 * machine's own interfaces stay as they are, so that a browser beside it notices nothing.
 */
export class HomeLan implements Disposable {
	readonly #namespaces: string[] = [];
	readonly #switch: string;

	/** Why it cannot be made here; null = it can. */
	static missing(): string | null {
		return namespacesMissing(prefix);
	}

	constructor() {
		reapDead(prefix);
		this.#switch = this.#namespace("switch");
		this.#ip("-n", this.#switch, "link", "add", "ports", "type", "bridge");
		this.#ip("-n", this.#switch, "link", "set", "ports", "up");
	}

	/** A device with an address of its own and no way out of the house. */
	device(name: string): Machine {
		const port = this.#namespaces.length;
		const namespace = this.#namespace(name);
		const host = `192.168.77.${port + 1}`;
		const [outer, inner] = [`port${port}`, "lan0"];
		this.#ip("-n", this.#switch, "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", namespace);
		this.#ip("-n", this.#switch, "link", "set", outer, "master", "ports", "up");
		this.#ip("-n", namespace, "addr", "add", `${host}/24`, "dev", inner);
		this.#ip("-n", namespace, "link", "set", inner, "up");
		this.#ip("-n", namespace, "link", "set", "lo", "up");
		return { host, through: ["ip", "netns", "exec", namespace] };
	}

	[Symbol.dispose](): void {
		for (const each of this.#namespaces.splice(0)) spawnSync("ip", ["netns", "del", each]);
	}

	#namespace(name: string): string {
		const namespace = `${prefix}${process.pid}-${name}`;
		this.#ip("netns", "add", namespace);
		this.#namespaces.push(namespace);
		return namespace;
	}

	#ip(...args: string[]): void {
		const done = spawnSync("ip", args, { encoding: "utf8" });
		if (done.status !== 0) throw new Error(`ip ${args.join(" ")}: ${done.stderr}`);
	}
}
