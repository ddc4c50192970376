import { useSyncExternalStore } from "react";

/** A device of this person that is there now, as the hub vouches for it. */
export interface OnlineDevice {
	/** Of this connection: two devices may bear one `deviceId`, and are two. */
	readonly clientId: number;
	readonly type: string;
	readonly deviceId: string;
	readonly hostname: string;
	/** The session behind it: what the device list calls it. */
	readonly sessionDevice?: string;
}

/** Kept apart from the connection, so that a page may look without loading it. Null = not known (yet). */
let online: readonly OnlineDevice[] | null = null;
const watchers = new Set<() => void>();

export function setOnline(devices: readonly OnlineDevice[] | null): void {
	online = devices;
	for (const watcher of watchers) watcher();
}

export function useOnline(): readonly OnlineDevice[] | null {
	return useSyncExternalStore(
		(watcher) => {
			watchers.add(watcher);
			return () => watchers.delete(watcher);
		},
		() => online,
	);
}
