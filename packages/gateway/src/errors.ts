import { defineErrors } from "@warren/kernel";

export const gatewayError = defineErrors({
	bad_mesh: { status: 400 },
	invitation_required: { status: 403, fix: "Ask whoever runs this gateway for an invitation." },
	mesh_taken: {
		status: 409,
		fix: "Choose another meshId; or, if it is yours, send its present secret as previousSecret.",
	},
	too_many_meshes: { status: 429 },
	rate_limited: { status: 429, retryable: true },
	not_configured: { status: 409, fix: "Register with POST /api/gateway/register, or set MESH_ID and MESH_SECRET." },
	gateway_unreachable: { status: 502, retryable: true },
	gateway_refused: { status: 502 },
	unknown_key: { status: 409, fix: "Look at the fingerprints again." },
	unknown_mesh: { status: 404 },
	set_by_environment: { status: 409, fix: "Unset MESH_ID and MESH_SECRET, or change them there." },
});
