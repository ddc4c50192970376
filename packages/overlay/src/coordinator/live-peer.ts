import type { OverlayPeerId, PeerRecord, Ula } from "../protocol/peer-record.ts";
import type { AddressEntry } from "./address-book.ts";
import type { CertificateFacts } from "./credentials.ts";

/** A peer that is here. */
export interface LivePeer {
	readonly entry: AddressEntry;
	record: PeerRecord;
	heardAt: number;
	readonly observedIp: string;
	/** Of the certificate that registered it; empty in insecure mode. */
	readonly serialNumber: string;
	/** As the joiner reported, or nothing yet. */
	wgListenPort: number | null;
	listenEndpoint: string | null;
	healthy: boolean;
	claimedApps: readonly Ula[];
	/** Absent in what earlier versions kept. */
	claimedNames?: Readonly<Record<Ula, string>>;
	/** How it reaches others, as it says: at most one entry a peer that it sees. */
	paths: ReadonlyMap<OverlayPeerId, { readonly direct: boolean; readonly lastRxAgeMs: number | null }>;
}

/** A peer that is here, as the next leader needs it. */
export type KeptPeer = Pick<
	LivePeer,
	| "entry"
	| "record"
	| "observedIp"
	| "serialNumber"
	| "wgListenPort"
	| "listenEndpoint"
	| "healthy"
	| "claimedApps"
	| "claimedNames"
>;

/** Where peers that are here outlive the process. Their records are the roster's to keep. */
export interface PeerStore {
	peers(): Iterable<KeptPeer>;
	savePeer(peer: KeptPeer): void;
}

/** Who asks, as far as the transport proved it. */
export interface Caller {
	/** Null in insecure mode alone. */
	readonly certificate: CertificateFacts | null;
	readonly remoteAddress: string;
}

export interface RegistryOptions {
	/** State survives the process: then a newcomer's address is final at once. */
	readonly durable: boolean;
	/** Tags of every certificate that names none. */
	readonly defaultTags: readonly string[];
	readonly heartbeatTimeoutMs: number;
	/** Tokens admit: what one said counts for as long as the machine is known. */
	readonly byToken: boolean;
}
