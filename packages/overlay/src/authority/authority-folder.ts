import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Clock, messageOf, newId, type Random } from "@warren/kernel";
import { Authority, canonicalHost, certificatesIn } from "@warren/net";
import { z } from "zod";
import { peerUrn, tagUrn } from "../coordinator/credentials.ts";
import { overlayError } from "../errors.ts";
import { tagPattern } from "../protocol/policy.ts";

export const authorityFolderLimits = {
	defaultDays: 397,
	maxDays: 3650,
	maxTags: 32,
	revocationDays: 30,
	maxIssued: 100_000,
} as const;

const indexSchema = z.object({
	peers: z.record(
		z.string(),
		z.object({
			id: z.string(),
			serials: z.array(
				z.object({
					serial: z.string(),
					notAfter: z.number(),
					/** Fingerprint of the CA that signed it; not there before CAs could be replaced. */
					by: z.string().optional(),
				}),
			),
		}),
	),
	revoked: z.array(z.string()).default([]),
});
type Index = z.infer<typeof indexSchema>;

export interface IssuedPeer {
	readonly name: string;
	readonly certFile: string;
	readonly keyFile: string;
	readonly caFile: string;
	readonly serialNumber: string;
	/** Milliseconds since the Unix epoch. */
	readonly notAfter: number;
	readonly tags: readonly string[];
	readonly hosts: readonly string[];
}

/**
 * The overlay's CA as files: `ca.crt`, `ca.key`, and `index.json` (who has which certificates), each name's identity
 * kept over renewals; `ca.crl` once something is revoked. Made on one machine, carried nowhere. While a CA is being
 * replaced, `ca.crt` holds the next one and, after it, those before: whoever trusts the file trusts all of them.
 */
export class AuthorityFolder {
	readonly #folder: string;
	readonly #authority: Authority;
	readonly #clock: Clock;
	readonly #random: Random;

	private constructor(folder: string, authority: Authority, clock: Clock, random: Random) {
		this.#folder = folder;
		this.#authority = authority;
		this.#clock = clock;
		this.#random = random;
	}

	/** Makes `ca.crt` and `ca.key`. @param hosts names and public addresses that its servers may have. @throws WarrenError `conflict` when there is one already. */
	static async init(
		folder: string,
		name: string,
		hosts: readonly string[],
		clock: Clock,
		random: Random,
	): Promise<AuthorityFolder> {
		const path = resolve(folder);
		if (existsSync(join(path, "ca.key")) || existsSync(join(path, "ca.crt")))
			throw overlayError("conflict", `${path} already holds a CA.`, {
				fix: "Choose another folder with --out DIR; a new CA would shut out every peer of the old one.",
			});
		mkdirSync(path, { recursive: true, mode: 0o700 });
		if (readdirSync(path).length === 0) chmodSync(path, 0o700);
		const { authority, pem } = await Authority.create(name, hosts, clock, random);
		write(join(path, "ca.key"), pem.key, 0o600);
		write(join(path, "ca.crt"), pem.cert, 0o644);
		return new AuthorityFolder(path, authority, clock, random);
	}

	/** @throws WarrenError `bad_authority`. */
	static async open(folder: string, clock: Clock, random: Random): Promise<AuthorityFolder> {
		const path = resolve(folder);
		try {
			const key = readFileSync(join(path, "ca.key"), "utf8");
			const privateKey = createPrivateKey(key);
			const cert = certificatesIn(readFileSync(join(path, "ca.crt"), "utf8")).find((each) =>
				new X509Certificate(each).checkPrivateKey(privateKey),
			);
			if (cert === undefined) throw new Error("ca.key is none of ca.crt's");
			return new AuthorityFolder(path, await Authority.load({ cert, key }, clock, random), clock, random);
		} catch (cause) {
			throw overlayError("bad_authority", `There is no usable CA in ${path}: ${messageOf(cause)}.`, {
				fix: `Make one with: warren ca init --out ${path}`,
				cause,
			});
		}
	}

	get certFile(): string {
		return join(this.#folder, "ca.crt");
	}

	get fingerprint(): string {
		return this.#authority.fingerprint;
	}

	get notAfter(): number {
		return this.#authority.notAfter;
	}

	/** How many CAs before this one are still trusted. */
	get earlier(): number {
		return certificatesIn(this.#trusted()).length - 1;
	}

	/**
	 * Makes the next CA, for the same names, beside the one that there is; from now on it signs. The key before is gone.
	 * @throws WarrenError `conflict` while an earlier one is not retired yet.
	 */
	async rotate(): Promise<AuthorityFolder> {
		if (this.earlier > 0)
			throw overlayError("conflict", `${this.certFile} still holds an earlier CA.`, {
				fix: "Issue every machine's certificate anew, then: warren ca retire",
			});
		const { name, names } = this.#authority;
		const { authority, pem } = await Authority.create(nextName(name), names, this.#clock, this.#random);
		// What signed so far is known by what is signed from now on.
		const index = this.#index();
		const by = this.fingerprint;
		const marked = Object.entries(index.peers).map(([peer, { id, serials }]) => {
			return [peer, { id, serials: serials.map((each) => ({ by, ...each })) }] as const;
		});
		this.#save({ ...index, peers: Object.fromEntries(marked) });
		// Cut between the two, the key is still that of the second certificate, and that one goes on.
		write(join(this.#folder, "ca.crt"), `${pem.cert}${this.#trusted()}`, 0o644);
		write(join(this.#folder, "ca.key"), pem.key, 0o600);
		const next = new AuthorityFolder(this.#folder, authority, this.#clock, this.#random);
		if (index.revoked.length > 0) await next.writeRevocations();
		return next;
	}

	/** Machines whose every certificate is an earlier CA's. */
	notRenewed(): string[] {
		const now = this.#clock.now();
		return Object.entries(this.#index().peers).flatMap(([name, { serials }]) => {
			const valid = serials.filter((each) => each.notAfter > now);
			const isRenewed = valid.some((each) => (each.by ?? this.fingerprint) === this.fingerprint);
			return valid.length === 0 || isRenewed ? [] : [name];
		});
	}

	/**
	 * Takes earlier CAs out of `ca.crt`: what they signed counts no more wherever that file is brought.
	 * @param force also where machines have nothing newer. @throws WarrenError `conflict`.
	 */
	retire(force = false): void {
		const left = this.notRenewed();
		if (left.length > 0 && !force)
			throw overlayError(
				"conflict",
				`${left.length} machines have no certificate of the new CA: ${left.slice(0, 10).join(", ")}${left.length > 10 ? ", …" : ""}.`,
				{ fix: "Renew them with warren ca issue-peer, or shut them out with --force." },
			);
		write(this.certFile, this.#authority.certPem, 0o644);
	}

	#trusted(): string {
		return readFileSync(this.certFile, "utf8");
	}

	/**
	 * Writes `peer.crt`, `peer.key` (0600) and `ca.crt` to `out`. The same name again is a renewal: the coordinator knows
	 * it as the same machine. With hosts it is a server's certificate as well.
	 * @throws WarrenError `bad_authority` when a host or tag cannot be certified.
	 */
	async issuePeer(request: {
		readonly name: string;
		readonly out: string;
		readonly tags: readonly string[];
		readonly hosts: readonly string[];
		readonly days: number;
	}): Promise<IssuedPeer> {
		const { name, tags, days } = request;
		const hosts = request.hosts.map(canonicalHost);
		if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name))
			throw overlayError(
				"bad_authority",
				`"${name.slice(0, 80)}" cannot be a name: letters, digits, dots, dashes and underscores, 63 at most.`,
			);
		const badTag = tags.find((tag) => !tagPattern.test(tag));
		if (badTag !== undefined || tags.length > authorityFolderLimits.maxTags)
			throw overlayError(
				"bad_authority",
				`"${(badTag ?? tags.join(" ")).slice(0, 80)}" cannot be a tag, or they are more than ${authorityFolderLimits.maxTags}.`,
			);
		if (!Number.isInteger(days) || days < 1 || days > authorityFolderLimits.maxDays)
			throw overlayError("bad_authority", `--days ${days} is not between 1 and ${authorityFolderLimits.maxDays}.`);
		const foreign = hosts.find((host) => !this.#authority.allows(host));
		if (foreign !== undefined) {
			throw overlayError(
				"bad_authority",
				`This CA may not speak for ${foreign}: it is bound to private addresses, .internal, .local and the names that it was made with.`,
				{
					fix: `Make the CA with: warren ca init --host ${foreign}`,
				},
			);
		}
		const before = this.#index();
		const known = peerIn(before, name);
		if (known === undefined && Object.keys(before.peers).length >= authorityFolderLimits.maxIssued)
			throw overlayError("bad_authority", `This CA already has ${authorityFolderLimits.maxIssued} peers.`);
		const id = known?.id ?? newId(this.#random);
		const leaf = await this.#authority.issue({
			name,
			hosts,
			uris: [`${peerUrn}${id}`, ...tags.map((tag) => `${tagUrn}${tag}`)],
			days,
			usages: hosts.length > 0 ? ["server", "client"] : ["client"],
		});
		// As it is now: others were issued or revoked while this one was signed.
		const index = this.#index();
		const standing = peerIn(index, name);
		if (standing?.id !== known?.id) return this.issuePeer(request);
		const certificate = new X509Certificate(leaf.cert);
		const serialNumber = certificate.serialNumber.toLowerCase();
		const notAfter = Date.parse(certificate.validTo);
		const out = resolve(request.out);
		mkdirSync(out, { recursive: true, mode: 0o700 });
		const serials = (standing?.serials ?? []).filter((each) => each.notAfter > this.#clock.now());
		// First the index: a certificate that nobody knows of could never be revoked.
		this.#save({
			...index,
			peers: {
				...index.peers,
				[name]: { id, serials: [...serials, { serial: serialNumber, notAfter, by: this.fingerprint }] },
			},
		});
		write(join(out, "peer.key"), leaf.key, 0o600);
		write(join(out, "peer.crt"), leaf.cert, 0o644);
		if (out !== this.#folder) write(join(out, "ca.crt"), this.#trusted(), 0o644);
		return {
			name,
			certFile: join(out, "peer.crt"),
			keyFile: join(out, "peer.key"),
			caFile: join(out, "ca.crt"),
			serialNumber,
			notAfter,
			tags,
			hosts,
		};
	}

	/**
	 * Revokes every certificate of a name that has not ended, and writes `ca.crl`. The name may be issued anew: that is
	 * another machine then.
	 * @returns the list's file and what was added. @throws WarrenError `unknown_peer`.
	 */
	async revoke(name: string): Promise<{ readonly file: string; readonly serialNumbers: readonly string[] }> {
		const index = this.#index();
		const known = peerIn(index, name);
		if (known === undefined)
			throw overlayError("unknown_peer", `This CA has issued nothing to "${name.slice(0, 80)}".`, {
				fix: "List the names with: warren ca list",
			});
		const serialNumbers = known.serials.map((each) => each.serial);
		const { [name]: _gone, ...peers } = index.peers;
		this.#save({ peers, revoked: [...new Set([...index.revoked, ...serialNumbers])] });
		return { file: await this.writeRevocations(), serialNumbers };
	}

	/** Writes `ca.crl` anew, as it stands. */
	async writeRevocations(): Promise<string> {
		const until = this.#clock.now() + authorityFolderLimits.revocationDays * 24 * 3600 * 1000;
		const file = join(this.#folder, "ca.crl");
		for (;;) {
			const { revoked } = this.#index();
			const list = await this.#authority.revocationList(revoked, until);
			// Another was revoked while this one was signed: the list without it must not be the last one.
			if (this.#index().revoked.length > revoked.length) continue;
			write(file, list, 0o644);
			return file;
		}
	}

	list(): { readonly name: string; readonly notAfter: number; readonly serialNumbers: readonly string[] }[] {
		return Object.entries(this.#index().peers).map(([name, { serials }]) => ({
			name,
			notAfter: Math.max(0, ...serials.map((each) => each.notAfter)),
			serialNumbers: serials.map((each) => each.serial),
		}));
	}

	#index(): Index {
		const file = join(this.#folder, "index.json");
		if (!existsSync(file)) return { peers: {}, revoked: [] };
		try {
			return indexSchema.parse(JSON.parse(readFileSync(file, "utf8")));
		} catch (cause) {
			throw overlayError("bad_authority", `${file} cannot be read: ${messageOf(cause)}.`, {
				fix: "Restore it from a backup: it says what was issued and revoked.",
				cause,
			});
		}
	}

	#save(index: Index): void {
		write(join(this.#folder, "index.json"), `${JSON.stringify(index, null, "\t")}\n`, 0o600);
	}
}

/** A name may be one that every object answers to, like `constructor`. */
function peerIn(index: Index, name: string): Index["peers"][string] | undefined {
	return Object.hasOwn(index.peers, name) ? index.peers[name] : undefined;
}

/** `Private mesh`, `Private mesh 2`, …: two CAs of one name would be told apart by their keys alone. */
function nextName(name: string): string {
	const [, base = name, number = "1"] = /^(.*) (\d{1,6})$/.exec(name) ?? [];
	return `${base} ${Number(number) + 1}`;
}

/** Whole or not at all, and on disk when it returns. */
function write(path: string, text: string, mode: number): void {
	writeFileSync(`${path}.new`, text, { mode, flush: true });
	chmodSync(`${path}.new`, mode);
	renameSync(`${path}.new`, path);
}
