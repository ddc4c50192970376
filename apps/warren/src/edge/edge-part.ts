import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { hashToken, newSecret } from "@warren/kernel";
import type { NodeConfig } from "../config/node-config.ts";
import { covers, isPair, ownAddresses, ownNames } from "../node/certificates.ts";
import type { NodeBase, OpenPart } from "../node/role-part.ts";
import { edgeFiles, machineTag, namesOf } from "./edge-config.ts";

const dayMs = 24 * 3600 * 1000;
const renewBeforeMs = 60 * dayMs;

/** One owner's machines reach each other; the owner's own rules replace this. */
const firstPolicy = { acls: [{ action: "accept", src: [`tag:${machineTag}`], dst: [`tag:${machineTag}`] }] };

/**
 * Makes what the edge process needs and must not make itself: its certificate, from the CA that only the private process
 * may read, the first policy, and the hash of the token by which this process administers coordinator and backbone.
 */
export const edgePart: OpenPart = async (base, config) => {
	const { authority, data } = base;
	if (authority !== null) {
		const files = edgeFiles(data.path);
		await certifyEdge(base, config, []);
		data.write(authority.certPem, "edge", "tls", "ca.crt");
		if (!existsSync(files.policy)) data.write(`${JSON.stringify(firstPolicy, null, "\t")}\n`, "edge", "policy.json");
		data.write(`${hashToken(backboneConsoleToken(base))}\n`, "edge", "backbone-console.hash");
	}
	return { name: "edge", routes: [], authenticators: [], peerSources: [], roles: () => [] };
};

/** A secret of this process: with it, it is an administrator of the coordinator and the backbone beside it. */
export function backboneConsoleToken({ data, random }: Pick<NodeBase, "data" | "random">): string {
	const kept = data.read("backbone-console.token");
	if (kept !== null) return kept.trim();
	const made = `wb_${newSecret(random)}`;
	data.write(`${made}\n`, "backbone-console.token");
	return made;
}

/**
 * The edge's certificate: this machine's names, the backbone's domain and everything below it.
 * @param services names below the domain to write out: few clients take `*.localhost`. Those of before stay.
 */
export async function certifyEdge(
	{ authority, clock, data }: NodeBase,
	config: NodeConfig,
	services: readonly string[],
): Promise<void> {
	if (authority === null) return;
	const files = edgeFiles(data.path);
	const { backboneDomain: domain } = config;
	const before = existsSync(files.cert) ? namesOfFile(files.cert) : [];
	const names = [
		...ownNames(config),
		...[domain, `*.${domain}`, ...services.map((service) => `${service}.${domain}`)],
		...before.filter((name) => name.endsWith(`.${domain}`)),
	].filter((name, index, all) => authority.allows(name) && all.indexOf(name) === index);
	if (isStillGood(files, names, authority.certPem, clock.now())) return;
	const leaf = await authority.issue({
		name: `${config.name} edge`,
		hosts: [...names, ...ownAddresses()],
		usages: ["server"],
	});
	data.write(leaf.key, "edge", "tls", "edge.key");
	data.write(leaf.cert + authority.certPem, "edge", "tls", "edge.crt");
}

function isStillGood(
	{ cert, key }: Pick<ReturnType<typeof edgeFiles>, "cert" | "key">,
	names: readonly string[],
	caPem: string,
	now: number,
): boolean {
	if (!existsSync(cert)) return false;
	try {
		const leaf = new X509Certificate(readFileSync(cert));
		const covered = namesOf(readFileSync(cert));
		return (
			isPair(leaf, readFileSync(key, "utf8")) &&
			leaf.checkIssued(new X509Certificate(caPem)) &&
			Date.parse(leaf.validTo) - now > renewBeforeMs &&
			names.every((name) => (isIP(name) === 0 ? covered.includes(name) : covers(leaf, name)))
		);
	} catch {
		// Unreadable: a new one replaces it.
		return false;
	}
}

function namesOfFile(file: string): string[] {
	try {
		return namesOf(readFileSync(file));
	} catch {
		// Unreadable: a new one replaces it.
		return [];
	}
}
