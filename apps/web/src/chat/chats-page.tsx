import "../styles/documents.css";
import "./chat.css";
import { MessageCircle } from "lucide-react";
import { type DocumentKind, DocumentList } from "../pages/docs/document-list.tsx";
import { chatPrefix, isChat } from "./conversation.ts";
import { NoProvider } from "./no-provider.tsx";
import { useProviders } from "./providers.ts";
import { t } from "./text.ts";

const conversations: DocumentKind = {
	icon: MessageCircle,
	has: ({ id }) => isChat(id),
	draft: () => ({ id: `${chatPrefix}${crypto.randomUUID()}`, title: t.untitled }),
	path: "/chat",
	text: t,
};

export function ChatsPage() {
	const providers = useProviders().data;
	const none = providers?.every((each) => !each.configured) === true;
	return <DocumentList kind={conversations} notice={none && <NoProvider />} />;
}
