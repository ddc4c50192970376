import { X509Certificate } from "node:crypto";
import type { Backbone, Certificates } from "@warren/backbone";
import { type Closeable, type HealthTable, Lifetime } from "@warren/kernel";
import type { RoleDeps } from "../../cli/run-role.ts";
import { type BackboneConfig, isPublicName } from "../../config/backbone-config.ts";
import type { DataFolder } from "../../config/data-folder.ts";
import { AcmeAccount } from "./acme-account.ts";
import { CertificateKeeper, type WantedCertificate } from "./certificate-keeper.ts";
import { alpnSolver, dnsSolver, HttpSolver } from "./challenges.ts";

/** Certificates of a public authority for the domain, its services and their own names, while this is open. */
export async function openAcme(
	deps: RoleDeps,
	config: BackboneConfig,
	parts: {
		readonly data: DataFolder;
		readonly health: HealthTable;
		readonly backbone: Backbone;
		readonly certificates: Certificates;
	},
): Promise<Closeable & { readonly httpPort: number | null }> {
	const { data, health, backbone, certificates } = parts;
	const lifetime = new Lifetime();
	try {
		const account = new AcmeAccount(data, config.acmeDirectory, config.acmeEmail);
		const direct =
			config.acmeHttpPort === undefined
				? alpnSolver(certificates)
				: lifetime.own(await HttpSolver.open(config.host, config.acmeHttpPort));
		const dns = config.acmeDnsHook === undefined ? null : dnsSolver(config.acmeDnsHook);
		const wildcard = `*.${config.domain}`;
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
				obtain: ({ names }) => account.order(names, dns !== null && names.includes(wildcard) ? dns : direct),
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
