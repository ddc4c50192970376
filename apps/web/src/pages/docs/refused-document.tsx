import { useState } from "react";
import { useLocation } from "wouter";
import * as Y from "yjs";
import { refreshDocuments } from "../../api/documents.ts";
import type { DocumentRecord } from "../../api/hub-types.ts";
import { saveExport } from "../../documents/export.ts";
import type { OpenDocument } from "../../documents/open-document.ts";
import { Notice } from "../../ui/states.tsx";
import { t } from "../text/docs.ts";

/** The hub will not have this document any more: why, and what becomes of this device's copy. */
export function RefusedDocument(props: {
	document: OpenDocument;
	record: DocumentRecord;
	code: number;
	message: string;
}) {
	const [, navigate] = useLocation();
	const [forgotten, setForgotten] = useState(false);
	const known = t.refusals[props.code];
	return (
		<Notice tone="error" title={known?.title ?? t.refusedTitle}>
			<span>{known?.text ?? props.message}</span>
			<span className="code mono">{props.code}</span>
			{props.document.view.ready && (
				<div className="row wrap">
					<button
						type="button"
						className="button"
						onClick={() => saveExport(props.record.title, "markdown", Y.encodeStateAsUpdate(props.document.doc))}
					>
						{t.exportMarkdown}
					</button>
					<button
						type="button"
						className="button danger"
						disabled={forgotten}
						onClick={async () => {
							setForgotten(true);
							await props.document.forget();
							await refreshDocuments();
							navigate("/docs", { replace: true });
						}}
					>
						{t.forget}
					</button>
				</div>
			)}
		</Notice>
	);
}
