import { defineErrors } from "@warren/kernel";
import type { OpenDevice } from "@warren/overlay";

const deviceError = defineErrors({ no_data_plane: { status: 500 } });

/** The one place that says where the overlay's packets go. */
export const openOverlayDevice: OpenDevice = async ({ interfaceName }) => {
	throw deviceError("no_data_plane", `${interfaceName} cannot be made: this build has no WireGuard data plane.`, {
		fix: "Use a build that has one.",
	});
};
