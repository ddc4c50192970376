import "../styles/documents.css";
import "./chat.css";
import { Ellipsis, MessageCircle, Plus } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { refreshDocuments, useDocuments } from "../api/documents.ts";
import { hub } from "../api/hub.ts";
import type { DocumentRecord } from "../api/hub-types.ts";
import { DocumentDialogs, DocumentMenuItems, type DocumentOverlay } from "../pages/docs/document-actions.tsx";
import { Menu } from "../ui/menu.tsx";
import { Empty, ErrorNotice, Skeletons, StaleNotice } from "../ui/states.tsx";
import { agoOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { chatPrefix, isChat } from "./conversation.ts";
import { NoProvider } from "./no-provider.tsx";
import { useProviders } from "./providers.ts";
import { t } from "./text.ts";

/** A person's conversations, the last used first. */
export function ChatsPage() {
	const [, navigate] = useLocation();
	const [making, setMaking] = useState(false);
	const { data, error, isPending, dataUpdatedAt, refetch } = useDocuments();
	const providers = useProviders().data;
	const chats = data?.filter((each) => isChat(each.id));

	async function create() {
		setMaking(true);
		try {
			const body = { id: `${chatPrefix}${crypto.randomUUID()}`, title: t.untitled };
			const made = await hub.request<DocumentRecord>("/rooms", { method: "POST", body });
			await refreshDocuments();
			navigate(`/chat/${encodeURIComponent(made.id)}`);
		} catch (failure) {
			toastError(t.create, failure);
			setMaking(false);
		}
	}

	const createButton = (kind: string) => (
		<button type="button" className={kind} disabled={making} onClick={() => void create()}>
			<Plus size={16} aria-hidden="true" /> {t.create}
		</button>
	);
	return (
		<div className="page">
			<header className="page-head">
				<h1>{t.title}</h1>
				<div className="actions">{createButton("button primary")}</div>
			</header>
			{error !== null && data === undefined && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{error !== null && data !== undefined && (
				<StaleNotice failure={error} at={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{providers?.every((each) => !each.configured) === true && <NoProvider />}
			{isPending && <Skeletons count={4} height={64} label={t.loading} />}
			{chats?.length === 0 && (
				<Empty icon={<MessageCircle size={28} aria-hidden="true" />} action={createButton("button")}>
					{t.empty}
				</Empty>
			)}
			{chats !== undefined && chats.length > 0 && (
				<ul className="card docs-list">
					{chats.map((each) => (
						<ChatRow key={each.id} record={each} />
					))}
				</ul>
			)}
		</div>
	);
}

function ChatRow({ record }: { record: DocumentRecord }) {
	const [overlay, setOverlay] = useState<DocumentOverlay>();
	return (
		<li className="doc-row">
			<MessageCircle size={18} aria-hidden="true" />
			<div className="grow">
				<Link href={`/chat/${encodeURIComponent(record.id)}`} className="doc-link">
					<h2 className="clip">{record.title}</h2>
				</Link>
				<p className="small faint">{agoOf(record.updatedAt)}</p>
			</div>
			<Menu
				label={record.title}
				trigger={
					<button type="button" className="icon-button">
						<Ellipsis size={17} />
					</button>
				}
			>
				<DocumentMenuItems record={record} onOverlay={setOverlay} />
			</Menu>
			<DocumentDialogs record={record} overlay={overlay} onClose={() => setOverlay(undefined)} />
		</li>
	);
}
