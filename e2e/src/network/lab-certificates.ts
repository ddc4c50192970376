import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import type { LabHost } from "./nat-lab.ts";

/**
 * What `warren ca` would write, a folder a name, without a process each. @param servers those that are called by their
 * addresses. @param when for those that are not issued now for a year: from when on, ms from now, and for how many days.
 */
export async function writeCertificates(
	folder: string,
	servers: readonly LabHost[],
	machines: readonly string[],
	when: Readonly<Record<string, { readonly inMs?: number; readonly days?: number }>> = {},
): Promise<void> {
	const addresses = (host: LabHost) => [host.v4, host.v6].filter((each) => each !== null);
	let shiftMs = 0;
	const clock: Clock = { ...systemClock, now: () => systemClock.now() + shiftMs };
	const { authority, pem } = await Authority.create("lab", servers.flatMap(addresses), clock, systemRandom);
	const write = async (name: string, hosts: readonly string[]) => {
		const uris = [`urn:warren:peer:${name}`];
		const usages = hosts.length > 0 ? (["server", "client"] as const) : (["client"] as const);
		const { inMs = 0, days } = when[name] ?? {};
		shiftMs = inMs;
		const { cert, key } = await authority.issue({ name, hosts, uris, usages, ...(days === undefined ? {} : { days }) });
		mkdirSync(join(folder, name), { recursive: true });
		writeFileSync(join(folder, name, "peer.crt"), cert);
		writeFileSync(join(folder, name, "peer.key"), key, { mode: 0o600 });
		writeFileSync(join(folder, name, "ca.crt"), pem.cert);
	};
	for (const server of servers) await write(server.name, addresses(server));
	for (const name of machines) await write(name, []);
}

/** The flags by which a command finds them. */
export function certificateFlags(folder: string, name: string): string[] {
	const at = (file: string) => join(folder, name, file);
	return ["--tls-cert", at("peer.crt"), "--tls-key", at("peer.key"), "--tls-ca", at("ca.crt")];
}
