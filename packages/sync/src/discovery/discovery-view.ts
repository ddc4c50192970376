import type { Closeable, UserId } from "@warren/kernel";
import type { SyncRelay } from "../relay/sync-relay.ts";
import { type DeviceState, readDeviceState } from "./device-state.ts";
import { discoveryRoomOf } from "./discovery-access.ts";

export interface PresentDevice extends DeviceState {
	/** Tells two devices with the same `deviceId` apart. */
	readonly clientId: number;
}

/** The server's own look at who is present, for peers and for the devices page. */
export class DiscoveryView {
	readonly #relay: SyncRelay;

	constructor(relay: SyncRelay) {
		this.#relay = relay;
	}

	/** This user's devices that are here now. Two with the same `deviceId` are both in it. */
	devices(user: UserId): PresentDevice[] {
		return this.#relay.presence(discoveryRoomOf(user)).flatMap(({ client, state }) => {
			const device = state === null ? null : readDeviceState(state);
			return device === null ? [] : [{ ...device, clientId: client }];
		});
	}

	/** @param watcher called with all of them after each change. */
	watch(user: UserId, watcher: (devices: readonly PresentDevice[]) => void): Closeable {
		const room = discoveryRoomOf(user);
		const close = this.#relay.watchPresence((changed) => {
			if (changed === room) watcher(this.devices(user));
		});
		return { close };
	}
}
