import type { Deliveries } from "./deliveries.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Meshes } from "./meshes.ts";
import type { Presence } from "./presence.ts";
import type { ServerEffect, SocketId } from "./server-effects.ts";
import type { Session } from "./session.ts";

/** What the parts of the gateway's machine share. */
export interface MachineCore {
	readonly limits: GatewayLimits;
	readonly sessions: ReadonlyMap<SocketId, Session>;
	readonly meshes: Meshes;
	readonly presence: Presence;
	readonly deliveries: Deliveries;
	emit(effect: ServerEffect): void;
	/** Monotonic, ms, of what is being handled. */
	readonly now: number;
	/** Wall clock, ms. */
	readonly wall: number;
}
