import type { Clock, HealthTable, Logger, OverlayDevice, Random } from "@warren/kernel";
import type { LinkTls } from "./coordinator-link.ts";
import type { HostNetwork } from "./host-network.ts";

/** How a joiner asks for its device; the wireguard package makes it. */
export interface OpenDeviceOptions {
	readonly interfaceName: string;
	/** 32 bytes. */
	readonly privateKey: Uint8Array;
	/** UDP; 0 = any free one. */
	readonly listenPort: number;
	/** CIDRs of the interface. */
	readonly addresses: readonly string[];
	readonly mtu: number;
	readonly dataPlane: "auto" | "kernel" | "offload" | "portable";
	/** Where the device keeps what must survive a restart. */
	readonly stateFile: string;
	/** Where it notes what it tries, until that has gone well: see the device's own documents. */
	readonly noteFile: string;
}
export type OpenDevice = (options: OpenDeviceOptions) => Promise<OverlayDevice>;

export interface HostedApp {
	readonly uuid: string;
	/** A DNS label: what it is called below the overlay's domain, beside its UUID. */
	readonly name?: string;
	readonly host: string;
	readonly port: number;
}

export interface JoinerOptions {
	/** Its files; 0700. */
	readonly folder: string;
	/** Tried in turn. */
	readonly coordinators: readonly string[];
	/** Null = insecure. */
	readonly tls: LinkTls | null;
	/** The same as it is on disk now: looked at before each heartbeat. @throws Error when it cannot be read. */
	readonly readTls?: () => LinkTls | null;
	readonly joinToken?: string;
	readonly name: string;
	readonly network: string;
	/** Asked for; a token or certificate decides. */
	readonly tags: readonly string[];
	readonly interfaceName: string;
	readonly listenPort: number;
	/** Where others reach it, when it knows. */
	readonly listenEndpoint?: string;
	readonly relayOnly: boolean;
	readonly dataPlane: OpenDeviceOptions["dataPlane"];
	readonly apps: readonly HostedApp[];
	/** Port of the DNS responder on the overlay's address; null = none. */
	readonly namePort: number | null;
	/** Its own addresses are told to peers, so that machines of one network meet inside it. */
	readonly localCandidates: boolean;
	readonly softwareVersion: string;
	/** Where an address of the overlay is bound; itself unless told (tests have no such address). */
	readonly bindAddress?: (ula: string) => string;
}

export interface JoinerDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly openDevice: OpenDevice;
	readonly network: HostNetwork;
	readonly health?: HealthTable;
	/** Its device can serve no longer, and one that is opened now would: close the joiner, and open it anew. */
	readonly onUnfit?: (reason: string) => void;
}

export const joinerLimits = {
	heartbeatMs: 20_000,
	statusMs: 5_000,
	backoff: { firstMs: 500, maxMs: 30_000 },
	/** After a change of the roster, before it is fetched signed. */
	rosterPauseMs: 5_000,
	/** Changes of this long reach the device together. */
	syncPauseMs: 20,
	/** Who is not in a restarted coordinator's roster yet is kept this long: its own 60 s for a heartbeat. */
	settleMs: 60_000,
	mtu: 1420,
	/** After a coordinator that answers again has refused this machine, before it is turned to anew. */
	returnPauseMs: 600_000,
	/** Of this machine; a coordinator takes no word of one that says more. */
	maxApps: 256,
	/** A heartbeat tells of this many paths. */
	maxPaths: 1_000,
} as const;
