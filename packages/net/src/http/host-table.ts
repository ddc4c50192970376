import { isIP, SocketAddress } from "node:net";

/**
 * The names that a listener answers to. Any other Host is 421: that stops DNS rebinding, and keeps a tunnelled service's
 * name from ever reaching the UI. Address literals that are the socket's own local address need no entry: nobody can
 * rebind those.
 */
export class HostTable {
	readonly #names: Set<string>;

	constructor(names: Iterable<string>) {
		this.#names = new Set([...names].map(canonicalHost));
	}

	add(name: string): void {
		this.#names.add(canonicalHost(name));
	}

	names(): string[] {
		return [...this.#names].sort();
	}

	/** @param host the Host header without its port, as `parseHost` gives it. */
	accepts(host: string, localAddress: string | undefined): boolean {
		if (this.#names.has(host)) return true;
		return isIP(host) !== 0 && localAddress !== undefined && host === canonicalHost(localAddress);
	}
}

/** Lower case, no trailing dot, no brackets, addresses in their one short form (RFC 5952), IPv4-mapped ones as IPv4. */
export function canonicalHost(name: string): string {
	let host = name.toLowerCase();
	if (host.startsWith("[") && host.endsWith("]")) host = host.slice(1, -1);
	if (host.endsWith(".")) host = host.slice(0, -1);
	if (host.includes(":") && isIP(host) === 6 && !host.includes("%"))
		host = new SocketAddress({ address: host, family: "ipv6" }).address;
	if (host.startsWith("::ffff:") && isIP(host.slice(7)) === 4) host = host.slice(7);
	return host;
}

/**
 * Splits a Host header (RFC 9110 §7.2). Strict: what it does not understand is refused.
 * @returns the canonical host and the port, or null when malformed.
 */
export function parseHost(header: string): { host: string; port: number | null } | null {
	const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(header);
	if (match === null) return null;
	const literal = match[1] as string;
	if (literal.startsWith("[") && isIP(literal.slice(1, -1)) !== 6) return null;
	const port = match[2] === undefined ? null : Number(match[2]);
	if (port !== null && (port === 0 || port > 65535)) return null;
	return { host: canonicalHost(literal), port };
}
