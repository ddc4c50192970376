import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";

/**
 * For a socket to this machine's own `localhost`. By itself one asks only for the families that the interfaces have, and
 * loopback counts for none (getaddrinfo's AI_ADDRCONFIG): off the network, where an overlay of IPv6 is all there is, it
 * would not find what listens on 127.0.0.1.
 */
export const lookupOwn: LookupFunction = (hostname, options, callback) =>
	lookup(hostname, { ...options, hints: 0 }, callback);
