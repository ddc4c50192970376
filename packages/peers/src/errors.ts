import { defineErrors } from "@warren/kernel";

export const peerError = defineErrors({
	bad_request: { status: 400 },
	unknown_peer: { status: 404, fix: "List the peers with: warren peers" },
	peer_exists: { status: 409, fix: "It is in the list already; remove it first to add it under another name." },
	not_manual: { status: 409, fix: "It comes from discovery: it goes when its source no longer lists it." },
	pin_mismatch: {
		status: 409,
		fix: "If you reinstalled that machine, compare the fingerprints and trust the new one.",
	},
	upstream_error: { status: 502, retryable: true },
	peer_busy: { status: 503, retryable: true, fix: "Too many requests to this peer wait already: try again." },
	too_many_hops: { status: 508, fix: "Two nodes relay to each other in a circle: remove one of the two peers." },
	too_many_peers: { status: 409, fix: "Remove a peer that is no longer used." },
	relay_refused: { status: 403, fix: "Open that machine's own address for its pages." },
});
