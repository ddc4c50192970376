import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { ownAddresses, ownNames } from "../node/certificates.ts";
import type { OpenPart } from "../node/role-part.ts";
import { edgeFiles, machineTag } from "./edge-config.ts";

const dayMs = 24 * 3600 * 1000;
const renewBeforeMs = 60 * dayMs;

/** One owner's machines reach each other; the owner's own rules replace this. */
const firstPolicy = { acls: [{ action: "accept", src: [`tag:${machineTag}`], dst: [`tag:${machineTag}`] }] };

/**
 * Makes what the edge process needs and must not make itself: its certificate, from the CA that only the private process
 * may read, and the first policy.
 */
export const edgePart: OpenPart = async ({ authority, clock, data }, config) => {
	if (authority !== null) {
		const files = edgeFiles(data.path);
		const names = ownNames(config).filter((name) => authority.allows(name));
		if (!isStillGood(files.cert, names, authority.certPem, clock.now())) {
			const leaf = await authority.issue({
				name: `${config.name} edge`,
				hosts: [...names, ...ownAddresses()],
				usages: ["server"],
			});
			data.write(leaf.key, "edge", "tls", "edge.key");
			data.write(leaf.cert + authority.certPem, "edge", "tls", "edge.crt");
		}
		data.write(authority.certPem, "edge", "tls", "ca.crt");
		if (!existsSync(files.policy)) data.write(`${JSON.stringify(firstPolicy, null, "\t")}\n`, "edge", "policy.json");
	}
	return { name: "edge", routes: [], authenticators: [], peerSources: [], roles: () => [] };
};

function isStillGood(file: string, names: readonly string[], caPem: string, now: number): boolean {
	if (!existsSync(file)) return false;
	try {
		const leaf = new X509Certificate(readFileSync(file));
		return (
			leaf.checkIssued(new X509Certificate(caPem)) &&
			Date.parse(leaf.validTo) - now > renewBeforeMs &&
			names.every((name) => leaf.checkHost(name) !== undefined)
		);
	} catch {
		// Unreadable: a new one replaces it.
		return false;
	}
}
