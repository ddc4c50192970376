import { FileText } from "lucide-react";
import { t } from "../text/docs.ts";
import { type DocumentKind, DocumentList } from "./document-list.tsx";
import { TakeAlong } from "./take-along.tsx";

const texts: DocumentKind = {
	icon: FileText,
	// Conversations, settings and workspaces are documents with places of their own.
	has: ({ id }) => !/^(chat|settings|workspace)-/.test(id),
	draft: () => ({ title: t.untitled }),
	path: "/docs",
	text: t,
};

export function DocsPage() {
	return <DocumentList kind={texts} actions={<TakeAlong />} />;
}
