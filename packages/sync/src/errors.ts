import { defineErrors } from "@warren/kernel";

/** Everything that this package refuses, by code. */
export const syncError = defineErrors({
	bad_room: {
		status: 400,
		fix: "A document's id is 1 to 128 letters, digits, dots, dashes, tildes and underscores, and begins with a letter or digit.",
	},
	unknown_document: { status: 404, fix: "The list of documents may have changed: fetch it again." },
	document_exists: { status: 409, fix: "Choose another id." },
	document_forbidden: { status: 403, fix: "Ask its owner to share it with you." },
	quarantined: { status: 503, retryable: true, fix: "Restore one of its checkpoints." },
	unknown_checkpoint: { status: 404, fix: "The list of checkpoints may have changed: fetch it again." },
	too_many: { status: 429, retryable: true },
	overloaded: { status: 503, retryable: true },
	log_damaged: { status: 500 },
	hub_refused: { status: 502 },
	worker_failed: { status: 500, retryable: true },
});
