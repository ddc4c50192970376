import type { HealthTable } from "@warren/kernel";
import type { OpenDevice } from "@warren/overlay/joiner";
import { openOverlayDevice } from "@warren/wireguard";
import type { RoleDeps } from "../cli/run-role.ts";
import { version } from "../version.ts";

/** The one place that says where the overlay's packets go. */
export function openDeviceWith(deps: RoleDeps & { readonly health: HealthTable }): OpenDevice {
	return ({ stateFile, noteFile, ...options }) =>
		openOverlayDevice(deps, {
			...options,
			timestampFile: stateFile,
			openingNote: { file: noteFile, software: `warren ${version}` },
		});
}
