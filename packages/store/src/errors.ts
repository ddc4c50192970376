import { defineErrors } from "@warren/kernel";

export const storeError = defineErrors({
	store_unreadable: { status: 500 },
	store_newer: { status: 500 },
	/** It answers, and is too old, read-only, or set up so that it cannot do what is asked of it. */
	store_unfit: { status: 500 },
	store_full: { status: 507, retryable: true },
	store_migration: { status: 500 },
	/** Another transaction is open on this connection, across turns of the event loop: try again in a moment. */
	store_busy: { status: 503, retryable: true },
	/** The engine does not answer: whether a write that was on its way happened is not known. Offer it again. */
	store_away: { status: 503, retryable: true },
	message_too_large: { status: 413 },
	store_failed: { status: 500, retryable: true },
});
