// Must come first: the certificate library asks for it when it loads.
import "reflect-metadata";

import { createPublicKey } from "node:crypto";
import { BlockList, isIP } from "node:net";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
	GeneralName,
	GeneralSubtree,
	GeneralSubtrees,
	id_ce_nameConstraints,
	NameConstraints,
} from "@peculiar/asn1-x509";
import * as x509 from "@peculiar/x509";
import type { Clock, Fingerprint, Random } from "@warren/kernel";
import { canonicalHost } from "../http/host-table.ts";
import {
	authorityLimits,
	type CertifiedKey,
	certificateError,
	certificatesIn,
	type LeafRequest,
	nodeUri,
} from "./certificates.ts";
import { fingerprintOf } from "./fingerprint.ts";

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 24 * 3600 * 1000;

/** Private address ranges (RFC 1918, 6598, 3927, 4193, 4291) and loopback: address, mask length. */
const privateRanges = [
	"10.0.0.0/8",
	"172.16.0.0/12",
	"192.168.0.0/16",
	"100.64.0.0/10",
	"169.254.0.0/16",
	"127.0.0.0/8",
	"fc00::/7",
	"fe80::/10",
	"::1/128",
] as const;
const privateSuffixes = ["internal", "local", "localhost"] as const;

/**
 * The warren's own CA (RFC 5280). Name-constrained, critically: whoever steals it can speak for private addresses, for
 * `.internal`, `.local` and the names that it was made with, and for nothing else that a phone trusts.
 */
export class Authority {
	readonly certPem: string;
	readonly fingerprint: Fingerprint;
	readonly #certificate: x509.X509Certificate;
	readonly #key: CryptoKey;
	readonly #clock: Clock;
	readonly #random: Random;

	private constructor(certificate: x509.X509Certificate, key: CryptoKey, clock: Clock, random: Random) {
		this.#certificate = certificate;
		this.#key = key;
		this.#clock = clock;
		this.#random = random;
		this.certPem = pemOf(certificate);
		this.fingerprint = fingerprintOf(new Uint8Array(certificate.rawData));
	}

	/** Makes a new CA. @param names host names and public addresses of its own that it may also speak for. */
	static async create(
		name: string,
		names: readonly string[],
		clock: Clock,
		random: Random,
	): Promise<{ authority: Authority; pem: CertifiedKey }> {
		const keys = (await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"])) as CryptoKeyPair;
		const now = clock.now();
		const certificate = await x509.X509CertificateGenerator.createSelfSigned({
			serialNumber: serialNumber(random),
			name: [{ CN: [name] }],
			notBefore: new Date(now - authorityLimits.backdateMs),
			notAfter: new Date(now + authorityLimits.authorityDays * dayMs),
			signingAlgorithm: keyAlgorithm,
			keys,
			extensions: [
				new x509.BasicConstraintsExtension(true, 0, true),
				new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
				await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
				nameConstraints(names),
			],
		});
		const authority = new Authority(certificate, keys.privateKey, clock, random);
		return { authority, pem: { cert: authority.certPem, key: await privateKeyPem(keys.privateKey) } };
	}

	/** @throws WarrenError `bad_certificate` when the two are unreadable or do not belong together. */
	static async load(pem: CertifiedKey, clock: Clock, random: Random): Promise<Authority> {
		try {
			const certificate = new x509.X509Certificate(pem.cert);
			const spki = createPublicKey(pem.key).export({ type: "spki", format: "der" });
			if (!spki.equals(new Uint8Array(certificate.publicKey.rawData)))
				throw new Error("its key is not that of its certificate");
			const key = await crypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(pem.key), keyAlgorithm, false, [
				"sign",
			]);
			return new Authority(certificate, key, clock, random);
		} catch (cause) {
			throw certificateError(
				"bad_certificate",
				`The CA in the data folder cannot be read: ${(cause as Error).message}.`,
				{
					fix: "Restore ca/ from a backup. Without it, machines and phones must install a new CA.",
					cause,
				},
			);
		}
	}

	get name(): string {
		return this.#certificate.subjectName.getField("CN")[0] ?? "";
	}

	get notAfter(): number {
		return this.#certificate.notAfter.getTime();
	}

	/** Host names and public addresses of its own that it may also speak for: what it was made with. */
	get names(): string[] {
		return this.#permitted().flatMap(({ base }) => {
			if (base.dNSName !== undefined) return isPrivateSuffix(base.dNSName) ? [] : [base.dNSName];
			const range = base.iPAddress;
			if (range === undefined || privateRanges.some((each) => each === range)) return [];
			return [range.split("/")[0] as string];
		});
	}

	/** DER, as phones install it. */
	get der(): Uint8Array {
		return new Uint8Array(this.#certificate.rawData);
	}

	/** A new key with its certificate. Hosts outside the constraints are left out, not signed in vain. */
	async issue(request: LeafRequest): Promise<CertifiedKey> {
		const keys = (await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"])) as CryptoKeyPair;
		const certificate = await this.#sign(request, keys.publicKey);
		return { cert: pemOf(certificate), key: await privateKeyPem(keys.privateKey) };
	}

	/** Signs a machine's own key; the private half never leaves it. Names come from `request`, never from the CSR. @throws WarrenError `bad_csr`. */
	async issueForCsr(csrPem: string, request: LeafRequest): Promise<string> {
		let csr: x509.Pkcs10CertificateRequest;
		try {
			csr = new x509.Pkcs10CertificateRequest(csrPem);
			if (!(await csr.verify())) throw new Error("its signature does not fit its key");
		} catch (cause) {
			throw certificateError("bad_csr", `The certificate request cannot be used: ${(cause as Error).message}.`, {
				cause,
			});
		}
		return pemOf(await this.#sign(request, await csr.publicKey.export()));
	}

	async #sign(request: LeafRequest, publicKey: CryptoKey): Promise<x509.X509Certificate> {
		const hosts = request.hosts
			.map(canonicalHost)
			.filter((host) => this.allows(host))
			.slice(0, authorityLimits.maxNames);
		const now = this.#clock.now();
		const usages = request.usages ?? ["server", "client"];
		return x509.X509CertificateGenerator.create({
			serialNumber: serialNumber(this.#random),
			subject: [{ CN: [request.name.slice(0, 64)] }],
			issuer: this.#certificate.subjectName,
			notBefore: new Date(now - authorityLimits.backdateMs),
			notAfter: new Date(Math.min(now + (request.days ?? authorityLimits.leafDays) * dayMs, this.notAfter)),
			signingAlgorithm: keyAlgorithm,
			publicKey,
			signingKey: this.#key,
			extensions: [
				new x509.BasicConstraintsExtension(false, undefined, true),
				new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
				new x509.ExtendedKeyUsageExtension(
					usages.map((usage) =>
						usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
					),
				),
				new x509.SubjectAlternativeNameExtension([
					...hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host })),
					...(request.nodeId === undefined ? [] : [{ type: "url" as const, value: nodeUri + request.nodeId }]),
					...(request.uris ?? []).map((value) => ({ type: "url" as const, value })),
				]),
				await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
				await x509.SubjectKeyIdentifierExtension.create(publicKey),
			],
		});
	}

	/**
	 * A list of certificates that count no more (RFC 5280 §5), PEM.
	 * @param serialNumbers hex. @param nextUpdate milliseconds since the Unix epoch: by then there will be a newer one.
	 */
	async revocationList(serialNumbers: readonly string[], nextUpdate: number): Promise<string> {
		const now = new Date(this.#clock.now());
		const list = await x509.X509CrlGenerator.create({
			issuer: this.#certificate.subjectName.toJSON(),
			thisUpdate: now,
			nextUpdate: new Date(nextUpdate),
			entries: serialNumbers.map((serialNumber) => ({ serialNumber, revocationDate: now })),
			signingAlgorithm: keyAlgorithm,
			signingKey: this.#key,
		});
		return `${list.toString("pem")}\n`;
	}

	/** Whether a leaf for this host would be believed under the constraints. */
	allows(host: string): boolean {
		if (this.#certificate.getExtension(id_ce_nameConstraints) === null) return true;
		return this.#permitted().some(({ base }) => {
			if (isIP(host) === 0)
				return base.dNSName !== undefined && (host === base.dNSName || host.endsWith(`.${base.dNSName}`));
			return base.iPAddress !== undefined && withinRange(host, base.iPAddress);
		});
	}

	#permitted(): readonly GeneralSubtree[] {
		const extension = this.#certificate.getExtension(id_ce_nameConstraints);
		if (extension === null) return [];
		return AsnConvert.parse(extension.value, NameConstraints).permittedSubtrees ?? [];
	}
}

const isPrivateSuffix = (name: string) => privateSuffixes.some((each) => each === name);

/**
 * The serial numbers (hex, lower case) on a revocation list, once its signature is proved to be this CA's.
 * @param caPem one, or several.
 * @throws WarrenError `bad_certificate`.
 */
export async function readRevocationList(pem: string, caPem: string): Promise<Set<string>> {
	try {
		const list = new x509.X509Crl(pem);
		const signed = await Promise.all(
			certificatesIn(caPem).map(async (each) => {
				const { publicKey } = new x509.X509Certificate(each);
				return list.verify({ publicKey: await publicKey.export() });
			}),
		);
		if (!signed.includes(true)) throw new Error("its signature is not the CA's");
		return new Set(list.entries.map((entry) => entry.serialNumber.toLowerCase()));
	} catch (cause) {
		throw certificateError("bad_certificate", `The revocation list cannot be used: ${(cause as Error).message}.`, {
			fix: "Make it anew with: warren ca revoke",
			cause,
		});
	}
}

/**
 * A key and a request for it, made where the key stays.
 * @param given the key that stays, PEM; a new one unless told.
 */
export async function createCsr(name: string, given?: string): Promise<{ csr: string; key: string }> {
	const keys = given === undefined ? await newKeys() : await keysOf(given);
	const csr = await x509.Pkcs10CertificateRequestGenerator.create({
		name: [{ CN: [name.slice(0, 64)] }],
		keys,
		signingAlgorithm: keyAlgorithm,
	});
	return { csr: `${csr.toString("pem")}\n`, key: await privateKeyPem(keys.privateKey) };
}

async function newKeys(): Promise<CryptoKeyPair> {
	return (await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"])) as CryptoKeyPair;
}

async function keysOf(pem: string): Promise<CryptoKeyPair> {
	const spki = createPublicKey(pem).export({ type: "spki", format: "der" });
	return {
		privateKey: await crypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(pem), keyAlgorithm, true, [
			"sign",
		]),
		publicKey: await crypto.subtle.importKey("spki", new Uint8Array(spki), keyAlgorithm, true, ["verify"]),
	};
}

function nameConstraints(names: readonly string[]): x509.Extension {
	const hosts = [...new Set(names.map(canonicalHost))];
	const ranges = [
		...privateRanges,
		...hosts.filter((host) => isIP(host) !== 0).map((host) => `${host}/${isIP(host) === 6 ? 128 : 32}`),
	];
	const suffixes = [...new Set([...privateSuffixes, ...hosts.filter((host) => isIP(host) === 0)])];
	const permittedSubtrees = new GeneralSubtrees([
		...suffixes.map((dNSName) => new GeneralSubtree({ base: new GeneralName({ dNSName }) })),
		...ranges.map((range) => new GeneralSubtree({ base: new GeneralName({ iPAddress: range }) })),
	]);
	return new x509.Extension(
		id_ce_nameConstraints,
		true,
		AsnConvert.serialize(new NameConstraints({ permittedSubtrees })),
	);
}

function withinRange(host: string, range: string): boolean {
	const [network = "", length = ""] = range.split("/");
	const type = isIP(network) === 6 ? "ipv6" : "ipv4";
	const list = new BlockList();
	list.addSubnet(network, Number(length), type);
	return isIP(host) === isIP(network) && list.check(host, type);
}

function serialNumber(random: Random): string {
	const bytes = random.bytes(16);
	bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
	return Buffer.from(bytes).toString("hex");
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
	return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function pemOf(certificate: x509.X509Certificate): string {
	return `${certificate.toString("pem")}\n`;
}
