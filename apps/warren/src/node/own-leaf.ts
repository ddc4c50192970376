import type { Fingerprint } from "@warren/kernel";
import { type Authority, fingerprintOfPem, type Listener } from "@warren/net";
import type { ServerConfig } from "../config/server-config.ts";
import { LeafRenewal } from "../hub/leaf-renewal.ts";
import type { RoleBase } from "../role-base.ts";
import { ownAddresses, ownNames } from "./certificates.ts";

export interface OwnLeafOptions {
	readonly config: ServerConfig;
	readonly authority: Authority;
	/** Stands in the leaf; none for a role that is no node. */
	readonly nodeId?: string;
	readonly onRenewed: (fingerprint: Fingerprint) => void;
}

/**
 * Where the warren's CA is: the leaf of this very machine, renewed while it runs as a joined machine's is. Looked at
 * now and once a day; by its names alone, as at the start, because addresses come and go.
 */
export function renewOwnLeaf(
	base: RoleBase,
	listener: Pick<Listener, "secure" | "setCertificate">,
	options: OwnLeafOptions,
): LeafRenewal | null {
	const { config, authority, nodeId, onRenewed } = options;
	if (!listener.secure || config.tlsCert !== undefined) return null;
	const names = () => ownNames(config).filter((name) => authority.allows(name));
	const renewal = new LeafRenewal(base, {
		ca: authority.certPem,
		name: config.name,
		hosts: names,
		use: (tls) => {
			listener.setCertificate(tls);
			onRenewed(fingerprintOfPem(tls.cert));
		},
		link: {
			renewCertificate: async (csr) => {
				const leaf = { name: config.name, hosts: [...names(), ...ownAddresses()] };
				const cert = await authority.issueForCsr(csr, nodeId === undefined ? leaf : { ...leaf, nodeId });
				return { cert, ca: authority.certPem };
			},
			// The CA is always there.
			onConnected: () => ({ close() {} }),
		},
	});
	void renewal.check();
	return renewal;
}
