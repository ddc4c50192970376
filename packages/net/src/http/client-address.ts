import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { badRequest } from "@warren/kernel";
import { canonicalHost } from "./host-table.ts";

/**
 * The client's address. X-Forwarded-For counts only when the socket's other end is a proxy that the operator named,
 * and then only its last entry that is not such a proxy itself.
 */
export class ClientAddress {
	readonly #trusted = new BlockList();

	/** @param trustedProxies addresses or CIDR ranges. @throws WarrenError naming the one that is neither. */
	constructor(trustedProxies: readonly string[]) {
		for (const each of trustedProxies) {
			const [address = "", prefix] = each.split("/");
			const family = isIP(address);
			const bits = family === 6 ? 128 : 32;
			if (family === 0 || (prefix !== undefined && (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits)))
				throw badRequest(`--trusted-proxy ${each}: not an address or a CIDR range`);
			const type = family === 6 ? "ipv6" : "ipv4";
			if (prefix === undefined) this.#trusted.addAddress(address, type);
			else this.#trusted.addSubnet(address, Number(prefix), type);
		}
	}

	of(request: IncomingMessage): string {
		let address = canonicalHost(request.socket.remoteAddress ?? "");
		const header = request.headers["x-forwarded-for"];
		if (typeof header !== "string") return address;
		for (const hop of header.split(",").reverse()) {
			if (!this.isTrusted(address)) break;
			const next = canonicalHost(hop.trim());
			if (isIP(next) === 0) break;
			address = next;
		}
		return address;
	}

	isTrusted(address: string): boolean {
		const family = isIP(address);
		return family !== 0 && this.#trusted.check(address, family === 6 ? "ipv6" : "ipv4");
	}
}
