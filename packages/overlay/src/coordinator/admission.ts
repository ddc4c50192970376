import type { Clock, Random } from "@warren/kernel";
import { canonicalUla, peerIndexOf } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import type { OverlayPeerId, Ula, WireGuardKey } from "../protocol/peer-record.ts";
import { uuidv7 } from "../uuid.ts";
import { type AddressBook, type AddressEntry, childHolder } from "./address-book.ts";
import type { RegisterBody } from "./bodies.ts";
import type { JoinClaims } from "./join-authority.ts";
import { coordinatorLimits } from "./limits.ts";
import type { Caller, LivePeer, RegistryOptions } from "./live-peer.ts";

/** Where a newcomer belongs, and whose it is. */
interface Standing {
	readonly network: string;
	readonly tags: readonly string[];
	readonly holder: string;
}

/** The peers that are here, as far as an admission concerns them. */
interface LivePeers {
	ofKey(key: WireGuardKey): LivePeer | undefined;
	drop(peer: LivePeer): void;
}

/** Whether a key may be a peer here, as what, and with which address: each stays its own for as long as it is known. */
export class Admission {
	readonly #book: AddressBook;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #options: RegistryOptions;
	readonly #live: LivePeers;
	readonly #startedAt: number;
	/** Keys that brought their address with them. */
	readonly #claimed = new Set<WireGuardKey>();

	constructor(book: AddressBook, clock: Clock, random: Random, options: RegistryOptions, live: LivePeers) {
		this.#book = book;
		this.#clock = clock;
		this.#random = random;
		this.#options = options;
		this.#live = live;
		this.#startedAt = clock.monotonic();
	}

	/**
	 * @param parent whom it stands behind, if anybody.
	 * @throws WarrenError `bad_ula`, `removed`, `conflict`, `exhausted`, `too_many`.
	 */
	admit(
		key: WireGuardKey,
		body: RegisterBody,
		claims: JoinClaims | null,
		parent: LivePeer | null,
		caller: Caller,
	): AddressEntry {
		const kept = this.#book.ofKey(key);
		if (kept?.removed === true)
			throw overlayError("removed", `The key of "${body.display_name}" was removed from this overlay.`);
		const who = this.#standing(key, body, claims, kept ?? null, parent, caller);
		if (kept !== undefined && kept.holder !== who.holder)
			throw overlayError("conflict", "This WireGuard key is registered by another certificate.", {
				fix: "Make a new key on this machine, or use the certificate that it joined with.",
			});
		if (parent !== null && kept === undefined) this.#makeRoom(parent);
		const entry = this.#entryFor(key, kept, who, body, claims);
		if (body.requested_ula != null && !this.#options.durable) this.#claimed.add(entry.key);
		return entry;
	}

	/** Network, tags and holder by authority: token, then what it was admitted with, then certificate; itself only in insecure mode. */
	#standing(
		key: WireGuardKey,
		body: RegisterBody,
		claims: JoinClaims | null,
		kept: AddressEntry | null,
		parent: LivePeer | null,
		caller: Caller,
	): Standing {
		if (parent !== null)
			return {
				network: parent.entry.network,
				tags: parent.entry.tags,
				holder: childHolder(parent.entry, key),
			};
		const holder = caller.certificate?.holder ?? "";
		if (claims !== null) return { network: claims.network, tags: claims.tags, holder };
		if (kept !== null && caller.certificate !== null)
			return {
				network: kept.network,
				tags: this.#options.byToken || caller.certificate.tags.length === 0 ? kept.tags : caller.certificate.tags,
				holder,
			};
		if (caller.certificate !== null) {
			const { tags } = caller.certificate;
			// Another key is no way into another network.
			const network = this.#book.ofHolder(holder)?.network ?? body.network;
			return { network, tags: tags.length > 0 ? tags : this.#options.defaultTags, holder };
		}
		return { network: body.network, tags: body.tags, holder };
	}

	#entryFor(
		key: WireGuardKey,
		kept: AddressEntry | undefined,
		who: Standing,
		body: RegisterBody,
		claims: JoinClaims | null,
	): AddressEntry {
		const same = (a: AddressEntry) =>
			a.network === who.network && a.tags.length === who.tags.length && a.tags.every((tag, at) => tag === who.tags[at]);
		if (kept !== undefined && kept.network === who.network) {
			const entry = { ...kept, tags: who.tags };
			if (!same(kept)) this.#book.put(entry);
			return entry;
		}
		const earlier = who.holder === "" ? undefined : this.#book.ofHolder(who.holder);
		if (earlier?.removed === true)
			throw overlayError("removed", `"${body.display_name}" was removed from this overlay.`);
		if (earlier !== undefined && earlier.key !== key) {
			// The machine has a new key: identity and address stay, once its old self is gone.
			const alive = this.#live.ofKey(earlier.key);
			if (alive !== undefined && this.#clock.monotonic() - alive.heardAt < this.#options.heartbeatTimeoutMs)
				throw overlayError(
					"conflict",
					`The certificate of "${body.display_name}" already stands for peer ${earlier.peerId}, with another key.`,
					{
						fix: "Leave with the old key first, or issue this machine a certificate of its own.",
					},
				);
			if (earlier.network === who.network) {
				const entry = { ...earlier, key, tags: who.tags };
				this.#book.put(entry, earlier);
				return entry;
			}
		}
		const ula = this.#addressFor(key, who.network, body, claims);
		const entry: AddressEntry = {
			key,
			peerId: (kept ?? earlier)?.peerId ?? (uuidv7(this.#clock, this.#random) as OverlayPeerId),
			network: who.network,
			ula,
			holder: who.holder,
			tags: who.tags,
			removed: false,
		};
		this.#book.put(entry, ...[earlier, kept].filter((each) => each !== undefined));
		return entry;
	}

	/** Beyond so many behind one machine, the one that came first and is away lets go of its address. */
	#makeRoom(parent: LivePeer): void {
		const children = this.#book.childrenOf(parent.entry);
		if (children.length < coordinatorLimits.maxKeptChildren) return;
		const spare = children.find((each) => !each.removed && this.#live.ofKey(each.key) === undefined);
		if (spare === undefined)
			throw overlayError(
				"too_many",
				`${children.length} peers have stood behind ${parent.record.display_name} already.`,
			);
		this.#book.forget(spare.key);
	}

	#addressFor(key: WireGuardKey, network: string, body: RegisterBody, claims: JoinClaims | null): Ula {
		const wanted = body.requested_ula?.trim() ?? "";
		if (wanted === "") return this.#book.free(network);
		const ula = canonicalUla(wanted);
		const index = ula === null ? null : peerIndexOf(network, ula);
		if (ula === null || index === null || index === 0)
			throw overlayError(
				"bad_ula",
				`requested_ula "${wanted.slice(0, 64)}" is not an address of the network "${network}".`,
				{ fix: "Leave it out to be given one." },
			);
		if (
			claims !== null &&
			claims.requestedUlas.length > 0 &&
			!claims.requestedUlas.some((each) => canonicalUla(each) === ula)
		)
			throw overlayError("bad_ula", `The join token does not allow the address ${ula}.`);
		const taken = this.#book.ofAddress(ula);
		if (taken === undefined) return ula;
		if (taken.key === key) return ula;
		if (!this.#isProvisional(taken))
			throw overlayError("conflict", `The address ${ula} belongs to another key.`, {
				fix: "Leave out requested_ula to be given a free one.",
			});
		// Given to a newcomer after a restart without state; whoever comes with it had it before.
		const newcomer = this.#live.ofKey(taken.key);
		this.#book.forget(taken.key);
		if (newcomer !== undefined) this.#live.drop(newcomer);
		return ula;
	}

	#isProvisional(entry: AddressEntry): boolean {
		if (this.#options.durable || this.#clock.monotonic() - this.#startedAt > coordinatorLimits.settleMs) return false;
		return !this.#claimed.has(entry.key);
	}
}
