import type { ConditionKind } from "@warren/kernel";

/** What of documents can be wrong, as health shows it. */
export const syncConditions = {
	/** Subject: the document's id. */
	quarantined: {
		code: "document-quarantined",
		severity: "error",
		title: "The document {document} is damaged: {reason}.",
		advice: "Restore one of its checkpoints; its bytes are kept as they are until then.",
		delayMs: 0,
	},
	notWritten: {
		code: "documents-not-written",
		severity: "error",
		title: "Changes to documents cannot be written: {fault}",
		advice: "Free some disk space. Clients keep what was not written, and offer it again by themselves.",
		delayMs: 0,
	},
} as const satisfies Record<string, ConditionKind>;
