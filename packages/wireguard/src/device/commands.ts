import type { OverlayPeer, OverlayPeerStatus, OverlayRoute, OverlayRule, UdpEndpoint } from "@warren/kernel";

/** What the device asks of its engine, as it crosses to the worker thread. Checked before it is sent. */
export type Command =
	| { readonly do: "setPeer"; readonly peer: OverlayPeer }
	| { readonly do: "removePeer"; readonly publicKey: Uint8Array }
	| { readonly do: "setRoute"; readonly publicKey: Uint8Array; readonly route: OverlayRoute }
	| { readonly do: "setEndpoint"; readonly publicKey: Uint8Array; readonly endpoint: UdpEndpoint }
	| { readonly do: "setMtu"; readonly publicKey: Uint8Array; readonly bytes: number }
	| { readonly do: "setRules"; readonly rules: readonly OverlayRule[] | null }
	| { readonly do: "handshake"; readonly publicKey: Uint8Array }
	| { readonly do: "sendDatagram"; readonly bytes: Uint8Array; readonly to: UdpEndpoint }
	| { readonly do: "receiveRelayed"; readonly publicKey: Uint8Array; readonly bytes: Uint8Array }
	| { readonly do: "status"; readonly id: number }
	/** So many bytes of reports were taken: see `Allowance`. */
	| { readonly do: "taken"; readonly bytes: number }
	/** A `peerChange` was taken: see `ChangeReports`. */
	| { readonly do: "changeTaken"; readonly publicKey: Uint8Array }
	| { readonly do: "close" };

/** What comes back. */
export type Report =
	| {
			readonly is: "ready";
			readonly listenPort: number;
			readonly publicKey: Uint8Array;
			readonly dataPlane: "offload" | "portable";
			readonly fallback: string | null;
	  }
	| { readonly is: "refused"; readonly message: string; readonly code: string }
	| { readonly is: "datagram"; readonly bytes: Uint8Array; readonly from: UdpEndpoint }
	| { readonly is: "relay"; readonly publicKey: Uint8Array; readonly bytes: Uint8Array; readonly urgent: boolean }
	| { readonly is: "peerChange"; readonly publicKey: Uint8Array }
	/** The engine failed, and has closed its descriptors. */
	| { readonly is: "died"; readonly message: string }
	/** The interface was removed by somebody else: nothing moves any more. */
	| { readonly is: "lost"; readonly reason: string }
	| { readonly is: "fallback"; readonly reason: string }
	/** Why the stamps of handshakes could not be written down; null = they can again. */
	| { readonly is: "stamps"; readonly refused: string | null }
	| {
			readonly is: "status";
			readonly id: number;
			readonly peers: readonly OverlayPeerStatus[];
			readonly counters: Counters;
	  }
	/** So many bytes of commands were taken. */
	| { readonly is: "taken"; readonly bytes: number }
	| { readonly is: "closed" };

/** What was refused or lost since the start, by reason. */
export type Counters = Readonly<Record<string, number>>;

/** What the worker is started with. */
export interface EngineWorkerData {
	readonly options: EngineOptions;
	/** One number, shared: 1 once the descriptors are closed. */
	readonly closed: Int32Array;
}

/** Everything that an engine is started with; it crosses to the worker once. */
export interface EngineOptions {
	readonly interfaceName: string;
	readonly privateKey: Uint8Array;
	readonly listenPort: number;
	readonly addresses: readonly string[];
	readonly mtu: number;
	readonly dataPlane: "offload" | "portable";
	readonly timestampFile: string | null;
}
