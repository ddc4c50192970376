import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { ClientAddress } from "./client-address.ts";

const from = (remoteAddress: string, forwarded?: string) =>
	({
		socket: { remoteAddress },
		headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
	}) as unknown as IncomingMessage;

describe("the client's address", () => {
	const addresses = new ClientAddress(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);

	it.each([
		["no header", "192.0.2.1", undefined, "192.0.2.1"],
		["a stranger's header counts for nothing", "192.0.2.1", "8.8.8.8", "192.0.2.1"],
		["a trusted proxy's last entry", "127.0.0.1", "8.8.8.8", "8.8.8.8"],
		["mapped addresses", "::ffff:127.0.0.1", "8.8.8.8", "8.8.8.8"],
		["what the client itself put in front is ignored", "10.0.0.1", "1.1.1.1, 8.8.8.8", "8.8.8.8"],
		["a chain of trusted proxies", "127.0.0.1", "1.1.1.1, 8.8.8.8, 10.2.0.1", "8.8.8.8"],
		["all trusted", "127.0.0.1", "10.0.0.9, 10.0.0.8", "10.0.0.9"],
		["rubbish ends the walk", "127.0.0.1", "8.8.8.8, unknown", "127.0.0.1"],
		["an empty header", "127.0.0.1", "", "127.0.0.1"],
		["version 6", "fd00::1", "2001:db8::1", "2001:db8::1"],
	])("%s", (_name, remote, forwarded, expected) => {
		expect(addresses.of(from(remote, forwarded))).toBe(expected);
	});

	it.each(["proxy.example", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "300.1.1.1"])(
		"refuses --trusted-proxy %s, naming it",
		(each) => {
			expect(() => new ClientAddress([each])).toThrow(each);
		},
	);
});
