import type { Closeable } from "./lifetime.ts";

/** An address literal, v4 or v6, and a UDP port. */
export interface UdpEndpoint {
	readonly address: string;
	readonly port: number;
}

/** A peer of the overlay, as its device is told of it. */
export interface OverlayPeer {
	/** 32 bytes. */
	readonly publicKey: Uint8Array;
	/** 32 bytes. */
	readonly presharedKey?: Uint8Array;
	/** Where to begin; the device roams by itself from there. */
	readonly endpoint?: UdpEndpoint;
	/** CIDRs: what is sent to this peer, and all that it may claim as a source. */
	readonly allowedIps: readonly string[];
	/** Seconds; 0 or none = off. */
	readonly keepalive?: number;
}

/**
 * How datagrams for a peer leave: by UDP to where it was last heard, by the relay, or both at once (while a path is
 * doubted). What comes in is taken from either way, whichever is set.
 */
export type OverlayRoute = "direct" | "relay" | "both";

/** What may pass between a peer and this host, judged on the inner packet. First match decides; none = refused. */
export interface OverlayRule {
	readonly direction: "in" | "out";
	/** CIDRs of the far side. */
	readonly addresses: readonly string[];
	/** none = every protocol. */
	readonly protocol?: "tcp" | "udp" | "icmp";
	/** Inclusive ranges of the destination's port; none = all. */
	readonly ports?: readonly (readonly [number, number])[];
}

export interface OverlayPeerStatus {
	readonly publicKey: Uint8Array;
	readonly endpoint: UdpEndpoint | null;
	readonly allowedIps: readonly string[];
	/** Wall clock, ms; null = never. */
	readonly lastHandshakeAt: number | null;
	readonly receivedBytes: number;
	readonly sentBytes: number;
	readonly route: OverlayRoute;
	/** Of the inner packets, bytes. */
	readonly mtu: number;
}

export interface OverlayDeviceStatus {
	readonly dataPlane: "kernel" | "offload" | "portable";
	/** Why a faster data plane was not taken; null when none was refused. */
	readonly fallback: string | null;
	readonly interfaceName: string;
	readonly listenPort: number;
	readonly publicKey: Uint8Array;
	readonly peers: readonly OverlayPeerStatus[];
}

/**
 * A WireGuard interface of this host. Whoever decides about peers and paths (the overlay) is handed one; whoever moves
 * packets (wireguard) makes it.
 */
export interface OverlayDevice extends Closeable {
	readonly interfaceName: string;
	readonly listenPort: number;
	readonly publicKey: Uint8Array;
	/** Adds the peer or changes it; sessions, route and endpoint of a known key stay unless an endpoint is given. */
	setPeer(peer: OverlayPeer): void;
	removePeer(publicKey: Uint8Array): void;
	setRoute(publicKey: Uint8Array, route: OverlayRoute): void;
	/** Moves the peer's endpoint, as roaming would. */
	setEndpoint(publicKey: Uint8Array, endpoint: UdpEndpoint): void;
	/** Of the inner packets to this peer, bytes; packets beyond it are answered too-big inside. */
	setMtu(publicKey: Uint8Array, bytes: number): void;
	/** Both directions; null = allowed-IPs alone decide. */
	setRules(rules: readonly OverlayRule[] | null): void;
	/** Starts a handshake now, within the protocol's own limit of attempts. */
	handshake(publicKey: Uint8Array): void;
	/** Another protocol's datagram (STUN, probes) from the very WireGuard socket, so that it shows the same mapping. */
	sendDatagram(bytes: Uint8Array, to: UdpEndpoint): void;
	/** Datagrams that are no WireGuard message. The bytes are the handler's own. */
	onDatagram(handler: (bytes: Uint8Array, from: UdpEndpoint) => void): void;
	/** Sealed datagrams of peers whose route is the relay's. `urgent`: handshakes and keepalives. */
	onRelayDatagram(handler: (publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean) => void): void;
	/** A sealed datagram that the relay brought. Never moves an endpoint. */
	receiveRelayed(publicKey: Uint8Array, bytes: Uint8Array): void;
	/** An authenticated datagram moved the endpoint, or a handshake completed. */
	onPeerChange(handler: (publicKey: Uint8Array) => void): void;
	/** It can serve no longer, or not as it should, and one that is opened now would: close it, open it anew. Told once. */
	onUnfit(handler: (reason: string) => void): void;
	status(): Promise<OverlayDeviceStatus>;
}
