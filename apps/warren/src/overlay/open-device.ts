import { defineErrors, type HealthTable } from "@warren/kernel";
import type { OpenDevice } from "@warren/overlay/joiner";
import { openOverlayDevice } from "@warren/wireguard";
import type { RoleDeps } from "../cli/run-role.ts";

const deviceError = defineErrors({ no_data_plane: { status: 500 } });

/** The one place that says where the overlay's packets go. */
export function openDeviceWith(deps: RoleDeps & { readonly health: HealthTable }): OpenDevice {
	return ({ dataPlane, stateFile, ...options }) => {
		if (dataPlane === "kernel") {
			throw deviceError("no_data_plane", "The kernel's own WireGuard cannot serve the overlay: it has no relay path.", {
				fix: "Use --data-plane auto, which takes the fastest one that can.",
			});
		}
		return openOverlayDevice(deps, { ...options, dataPlane, timestampFile: stateFile });
	};
}
