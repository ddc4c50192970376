import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import type { LabHost } from "./nat-lab.ts";

/** What `warren ca` would write, a folder a name, without a process each. @param servers those that are called by their addresses. */
export async function writeCertificates(
	folder: string,
	servers: readonly LabHost[],
	machines: readonly string[],
): Promise<void> {
	const addresses = (host: LabHost) => [host.v4, host.v6].filter((each) => each !== null);
	const { authority, pem } = await Authority.create("lab", servers.flatMap(addresses), systemClock, systemRandom);
	const write = async (name: string, hosts: readonly string[]) => {
		const uris = [`urn:warren:peer:${name}`];
		const usages = hosts.length > 0 ? (["server", "client"] as const) : (["client"] as const);
		const { cert, key } = await authority.issue({ name, hosts, uris, usages });
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
