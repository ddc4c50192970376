import type { Brand } from "@warren/kernel";

/** A WireGuard public key, standard base64 of 32 bytes: one spelling for each key. */
export type WireGuardKey = Brand<string, "WireGuardKey">;
/** An address of the overlay, as `canonicalUla` spells it. */
export type Ula = Brand<string, "Ula">;
/** A machine's registration at the coordinator: a UUID, version 7. */
export type OverlayPeerId = Brand<string, "OverlayPeerId">;

/** A peer as others see it; field names are the wire's (PeerInfo). */
export interface PeerRecord {
	readonly peer_id: OverlayPeerId;
	readonly ula: Ula;
	readonly display_name: string;
	readonly network: string;
	readonly tags: readonly string[];
	readonly hosted_app_ulas: readonly Ula[];
	/** DNS labels of those that have one. */
	readonly hosted_app_names?: Readonly<Record<Ula, string>>;
	readonly kind: "peer" | "runner";
	readonly wg_public_key: WireGuardKey;
	/** The peer that forwards for this one (a stock client behind a node); others send to that one. */
	readonly parent?: OverlayPeerId;
	readonly app_uuid?: string;
	readonly software_version?: string;
	readonly relay_only: boolean;
	/** `address:port`, where to begin. */
	readonly endpoint?: string;
	/** Further ones, best first: local addresses, what STUN saw. */
	readonly candidates?: readonly string[];
	/** `hard`: its NAT gives each destination another port. */
	readonly nat?: "easy" | "hard";
	readonly connectivity: "direct" | "relay" | "dead";
}

/** What changes often and weighs little: sent as a patch to streams that take patches. */
export const lightFields = ["endpoint", "candidates", "nat", "connectivity"] as const satisfies (keyof PeerRecord)[];
