import { createServer, isIP, isIPv4 } from "node:net";
import { hostname } from "node:os";
import { canonicalHost } from "@warren/net";
import { isLoopback, type ListeningConfig, type ServerConfig } from "../config/server-config.ts";
import { ownAddresses, ownNames } from "./certificates.ts";

/** The overlay's addresses of apps: they move from host to host. */
const appAddresses = "fd5a:1f02:";

/** The address to print: a name that the certificate has and that works from other machines, unless it listens on loopback only. */
export function urlOf(config: ServerConfig, port: number): string {
	const bound = boundTo(config);
	const host =
		bound === null
			? (config.hostname[0] ?? ownNames(config)[1] ?? "localhost")
			: isLoopback(bound)
				? "localhost"
				: bound;
	return originFor(config, host, port);
}

/** The same by an address of the local network, for phones; null when there is none. */
export function lanUrlOf(config: ServerConfig, port: number): string | null {
	if (config.host !== undefined && isLoopback(config.host)) return null;
	const address = ownAddresses().find((each) => isIPv4(each) && !each.startsWith("127."));
	return address === undefined ? null : originFor(config, address, port);
}

/**
 * Names and addresses by which other machines dial this one, best first: addresses work without anybody's DNS.
 * The operating system's name is told only when it is the machine's name here too: two nodes on one host, or two hosts
 * that are both called "raspberrypi", must not claim it from each other.
 */
export function dialledHosts(config: ServerConfig): string[] {
	const bound = boundTo(config);
	const addresses = bound === null ? ownAddresses().filter((each) => !each.startsWith(appAddresses)) : [bound];
	const reachable = addresses.filter((each) => isIP(each) !== 0).sort((a, b) => rank(a) - rank(b));
	const system = canonicalHost(hostname()).split(".")[0];
	const names = ownNames(config).filter(
		(name) => name !== "localhost" && (config.name === system || !(name === system || name.startsWith(`${system}.`))),
	);
	return [...new Set([...config.hostname.map(canonicalHost), ...reachable, ...names, "localhost", "127.0.0.1"])];
}

/** The port that will be listened on: 0 means any free one, and some of what is made before the listener names it. */
export async function choosePort(config: ListeningConfig): Promise<number> {
	if (config.port !== 0) return config.port;
	const probe = createServer();
	await new Promise<void>((resolve, reject) => {
		probe.once("error", reject);
		probe.listen(0, config.host, resolve);
	});
	const { port } = probe.address() as { port: number };
	await new Promise<void>((resolve) => probe.close(() => resolve()));
	return port;
}

export function originFor(config: ServerConfig, host: string, port: number): string {
	return `${config.http ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Null when it listens on all addresses. */
function boundTo(config: ServerConfig): string | null {
	const bound = config.host === undefined ? null : canonicalHost(config.host);
	return bound === "0.0.0.0" || bound === "::" ? null : bound;
}

/** Private IPv4 first, loopback last. */
function rank(address: string): number {
	if (address.startsWith("127.") || address === "::1") return 2;
	return isIPv4(address) ? 0 : 1;
}
