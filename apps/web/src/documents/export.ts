import { documentPath, fileNameOf } from "../api/documents.ts";
import { hub } from "../api/hub.ts";
import type { DocumentRecord } from "../api/hub-types.ts";
import { pendingChanges } from "../api/pending-changes.ts";
import { contentOf } from "./editor.ts";
import { toMarkdown } from "./markdown.ts";
import { saveFile } from "./save-file.ts";

export type ExportFormat = "markdown" | "json" | "update";

/** Asks the hub for the document as it is now, and hands it to the browser as a file. */
export async function exportDocument({ id, title }: DocumentRecord, format: ExportFormat): Promise<void> {
	const asked = format === "json" ? "json" : "update";
	// It only reads, yet somebody asked for it and waits.
	saveExport(title, format, await pendingChanges.follow(hub.bytes(`${documentPath(id)}/export?format=${asked}`)));
}

/** @param bytes a Yjs update, or the JSON as the hub wrote it. */
export function saveExport(title: string, format: ExportFormat, bytes: Uint8Array): void {
	switch (format) {
		case "markdown":
			return saveFile(fileNameOf(title, "md"), new TextEncoder().encode(toMarkdown(contentOf(bytes))), "text/markdown");
		case "json":
			return saveFile(fileNameOf(title, "json"), bytes, "application/json");
		case "update":
			return saveFile(fileNameOf(title, "yjs"), bytes, "application/octet-stream");
	}
}
