import { X509Certificate } from "node:crypto";
import type { Backbone, Certificates, SharedSecrets } from "@warren/backbone";
import { type Closeable, type HealthTable, Lifetime } from "@warren/kernel";
import type { Bus } from "@warren/store";
import type { RoleDeps } from "../../cli/run-role.ts";
import { type BackboneConfig, isPublicName } from "../../config/backbone-config.ts";
import type { DataFolder } from "../../config/data-folder.ts";
import { AcmeAccount, ownAccountKey, sharedAccountKey } from "./acme-account.ts";
import { CertificateKeeper, type WantedCertificate } from "./certificate-keeper.ts";
import { alpnSolver, dnsSolver, HttpSolver } from "./challenges.ts";
import { SharedOrders } from "./shared-orders.ts";

/** Certificates of a public authority for the domain, its services and their own names, while this is open. */
export async function openAcme(
	deps: RoleDeps,
	config: BackboneConfig,
	parts: {
		readonly data: DataFolder;
		readonly health: HealthTable;
		readonly backbone: Backbone;
		readonly certificates: Certificates;
		/** What the nodes of a cluster share; null = this is the only one. */
		readonly shared: { readonly secrets: SharedSecrets; readonly bus: Bus; readonly node: string } | null;
	},
): Promise<Closeable & { readonly httpPort: number | null }> {
	const { data, health, backbone, certificates, shared } = parts;
	const lifetime = new Lifetime();
	try {
		const accountKey = shared === null ? ownAccountKey(data) : sharedAccountKey(shared.secrets);
		const account = new AcmeAccount(accountKey, config.acmeDirectory, config.acmeEmail);
		const direct =
			config.acmeHttpPort === undefined
				? alpnSolver(certificates)
				: lifetime.own(await HttpSolver.open(config.host, config.acmeHttpPort));
		const dns = config.acmeDnsHook === undefined ? null : dnsSolver(config.acmeDnsHook);
		const wildcard = `*.${config.domain}`;
		const orders =
			shared === null
				? null
				: lifetime.own(new SharedOrders({ ...deps, ...shared, others: () => backbone.otherNodes() }, direct));
		const obtain = ({ names }: WantedCertificate) =>
			account.order(names, dns !== null && names.includes(wildcard) ? dns : (orders?.solver ?? direct));
		const keeper = lifetime.own(
			new CertificateKeeper({
				...deps,
				health,
				load: (name) => {
					const cert = data.read("backbone", "acme", `${name}.crt`);
					const key = data.read("backbone", "acme", `${name}.key`);
					return cert === null || key === null ? null : { cert, key };
				},
				save: (name, tls) => {
					// A crash between the two leaves a pair that does not match: it is noticed, and ordered again.
					data.write(tls.key, "backbone", "acme", `${name}.key`);
					data.write(tls.cert, "backbone", "acme", `${name}.crt`);
				},
				obtain: (wanted) => orders?.obtain(wanted, () => obtain(wanted)) ?? obtain(wanted),
				install: ({ names }, tls) => {
					for (const name of names) certificates.setFor(name, tls);
				},
			}),
		);
		const own = config.tlsCert === undefined ? null : new X509Certificate(certificates.standard.cert);
		const sync = () => keeper.want(wantedOf(config, backbone, (name) => own?.checkHost(name) === undefined));
		const watch = backbone.services.watch(sync);
		lifetime.own(watch);
		sync();
		return { httpPort: direct instanceof HttpSolver ? direct.port : null, close: () => lifetime.close() };
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

/** @param lacks whether the operator's own file leaves a name out: own files win. */
function wantedOf(
	{ domain, hostname, acmeDnsHook }: BackboneConfig,
	{ services }: Backbone,
	lacks: (name: string) => boolean,
): WantedCertificate[] {
	const wildcard = acmeDnsHook !== undefined;
	const named = services.list().filter(({ kind }) => kind === "http" || kind === "h2");
	const names = [
		...hostname,
		...(wildcard ? [] : [domain, ...named.map(({ name }) => `${name}.${domain}`)]),
		...named.flatMap(({ domains }) => domains),
	];
	const single = [...new Set(names)].filter((name) => isPublicName(name) && lacks(name));
	return [
		...(wildcard && (lacks(domain) || lacks(`any.${domain}`))
			? [{ name: domain, names: [domain, `*.${domain}`] }]
			: []),
		...single.map((name) => ({ name, names: [name] })),
	];
}
