import { readdirSync, readFileSync } from "node:fs";
import { messageOf } from "@warren/kernel";
import { run } from "@warren/net";
import { overlayError } from "../errors.ts";

/** What the overlay needs of the host's own network: addresses and routes on the device's interface. */
export interface HostNetwork {
	/** Makes what is missing; what is there already stays. Each line is an address without its length. */
	apply(
		interfaceName: string,
		change: {
			readonly addAddresses: readonly string[];
			readonly removeAddresses: readonly string[];
			readonly routes: readonly string[];
			readonly removeRoutes: readonly string[];
		},
	): Promise<void>;
	/** Sends names under `domain` to `server` alone. @returns why not, or null. */
	useNames(interfaceName: string, server: string, domain: string): Promise<string | null>;
	/** Lets this host forward between peers of the interface. @returns why not, or null. */
	forward(interfaceName: string): Promise<string | null>;
}

const timeoutMs = 10_000;
const v6Settings = "/proc/sys/net/ipv6/conf";

/** Linux, by iproute2 and, for names, systemd-resolved. */
export const linuxNetwork: HostNetwork = {
	async apply(interfaceName, change) {
		const lines = [
			...change.removeRoutes.map((address) => `route del ${address}/128 dev ${interfaceName}`),
			...change.removeAddresses.map((address) => `addr del ${address}/128 dev ${interfaceName}`),
			...change.addAddresses.map((address) => `addr replace ${address}/128 dev ${interfaceName} nodad`),
			...change.routes.map((address) => `route replace ${address}/128 dev ${interfaceName}`),
		];
		if (lines.length === 0) return;
		// `-force`: one that is gone already does not stop the others.
		const result = await run("ip", ["-6", "-force", "-batch", "-"], { timeoutMs, input: `${lines.join("\n")}\n` });
		if (result.outcome !== "exited")
			throw overlayError("no_network", `Routes cannot be set: ${result.message}.`, {
				fix: "Install iproute2, and run as root or with CAP_NET_ADMIN.",
			});
		const faults = result.stderr
			.split("\n")
			.filter((line) => line !== "" && !/No such process|Cannot assign requested address|Command failed/.test(line));
		if (faults.length > 0)
			throw overlayError("no_network", `Routes cannot be set on ${interfaceName}: ${faults[0]?.slice(0, 200)}.`, {
				fix: "Run as root or with CAP_NET_ADMIN.",
			});
	},
	async useNames(interfaceName, server, domain) {
		for (const args of [
			["dns", interfaceName, server],
			["domain", interfaceName, `~${domain}`],
		]) {
			const result = await run("resolvectl", args, { timeoutMs });
			if (result.outcome !== "exited") return result.message;
			if (result.code !== 0) return result.stderr.trim().slice(0, 200);
		}
		return null;
	},
	async forward(interfaceName) {
		// A host that forwards forgets what routers tell it, its way out at once, unless it is told to listen all the same.
		const listening = routerListeners().map((name) => `net/ipv6/conf/${name}/accept_ra=2`);
		// `-e`: an interface that has gone meanwhile needs nothing.
		if (listening.length > 0) await run("sysctl", ["-e", "-w", ...listening], { timeoutMs });
		const forwarding = [interfaceName, "all"].map((name) => `net/ipv6/conf/${name}/forwarding=1`);
		const result = await run("sysctl", ["-w", ...forwarding], { timeoutMs });
		return result.outcome !== "exited"
			? result.message
			: result.code === 0
				? null
				: messageOf(result.stderr.trim()).slice(0, 200);
	},
};

/** Interfaces whose addresses and routes come from routers as long as they do not forward; `default` = those to come. */
function routerListeners(): string[] {
	const isSet = (name: string, setting: string, to: string) => {
		try {
			return readFileSync(`${v6Settings}/${name}/${setting}`, "utf8").trim() === to;
		} catch {
			// It has gone meanwhile.
			return false;
		}
	};
	try {
		const names = readdirSync(v6Settings).filter((name) => name !== "all");
		return names.filter((name) => isSet(name, "accept_ra", "1") && isSet(name, "forwarding", "0"));
	} catch {
		// No IPv6 here: forwarding says so.
		return [];
	}
}
