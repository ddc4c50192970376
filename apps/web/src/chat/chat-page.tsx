import "../styles/documents.css";
import "./chat.css";
import { ArrowLeft } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import { refreshDocuments, useDocument } from "../api/documents.ts";
import { hub } from "../api/hub.ts";
import type { OpenDocument } from "../documents/open-document.ts";
import { useDocumentView, useOpenDocument } from "../documents/use-open-document.ts";
import { ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { Composer } from "./composer.tsx";
import { type Attachment, Conversation, type ModelChoice } from "./conversation.ts";
import { MessageView } from "./message-view.tsx";
import { ModelPicker } from "./model-picker.tsx";
import { NoProvider } from "./no-provider.tsx";
import { OwnKeysDialog } from "./own-keys-dialog.tsx";
import { type ProviderFacts, useModels, useProviders } from "./providers.ts";
import { t } from "./text.ts";
import { useChat } from "./use-chat.ts";
import { useFollowed } from "./use-followed.ts";
import { useOwnKeys } from "./use-own-keys.ts";

const titleLength = 60;

/** One conversation: live on every device that has it open. */
export function ChatPage({ id }: { id: string }) {
	const document = useOpenDocument(id);
	const view = useDocumentView(document);
	const providers = useProviders();
	if (view?.link.kind === "refused")
		return (
			<div className="page">
				<Notice tone="error" title={view.link.message} />
			</div>
		);
	if (providers.error !== null && providers.data === undefined)
		return (
			<div className="page">
				<ErrorNotice failure={providers.error} onRetry={() => void providers.refetch()} />
			</div>
		);
	if (document === undefined || view?.ready !== true || providers.data === undefined)
		return (
			<div className="page chat-page">
				<Skeletons count={4} height={40} label={t.opening} />
			</div>
		);
	return <LiveChat id={id} document={document} providers={providers.data} />;
}

function LiveChat({
	id,
	document,
	providers,
}: {
	id: string;
	document: OpenDocument;
	providers: readonly ProviderFacts[];
}) {
	const conversation = useMemo(() => new Conversation(document.doc), [document]);
	const own = useOwnKeys();
	const { keys } = own;
	const chat = useChat(conversation, id, keys);
	const { data: record } = useDocument(id);
	const [showKeys, setShowKeys] = useState(false);
	// Not in the document: somebody who shares the conversation must not switch it on for others.
	const [workspaces, setWorkspaces] = useState(false);
	const usable = providers.filter((each) => each.configured || keys?.providers().includes(each.id) === true);
	const choice = conversation.choice ?? firstChoice(usable);
	const chosen = usable.find(({ id: each }) => each === choice?.provider);
	const modelless = useModels(chosen)?.length === 0 && choice?.model === "";
	const list = useFollowed(chat.messages);
	const readOnly = record?.access === "read-only";
	const title = record?.title ?? t.untitled;
	useEffect(() => {
		window.document.title = `${title} · Warren`;
		return () => {
			window.document.title = "Warren";
		};
	}, [title]);

	function send(text: string, attachments: readonly Attachment[]) {
		if (choice === null) return;
		if (conversation.choice === null) conversation.choose(choice);
		if (chat.messages.length === 0 && record?.title === t.untitled) void nameAfter(id, text);
		chat.send(text, attachments, choice, workspaces);
	}

	return (
		<div className="page chat-page">
			<header className="doc-head">
				<Link className="icon-button" href="/chat" aria-label={t.back}>
					<ArrowLeft size={18} />
				</Link>
				<h1 className="clip grow">{title}</h1>
			</header>
			<ol className="messages" ref={list} aria-label={t.title} aria-live="polite">
				{chat.messages.map((message, index) => {
					const last = index === chat.messages.length - 1;
					const retry =
						last && !chat.busy && !readOnly && message.role === "assistant" && choice !== null
							? () => chat.retry(choice, workspaces)
							: undefined;
					return <MessageView key={message.id} message={message} live={last && chat.busy} onRetry={retry} />;
				})}
			</ol>
			<div className="chat-foot">
				{readOnly && <Notice title={t.readOnly} />}
				{usable.length === 0 && <NoProvider />}
				{chosen !== undefined && modelless && <NoProvider silent={chosen.name} />}
				{keys?.locked === true && <p className="small muted">{t.locked}</p>}
				{!readOnly && (
					<ModelPicker
						providers={usable.length === 0 ? providers : usable}
						choice={choice ?? { provider: providers[0]?.id ?? "", model: "" }}
						onChoose={(next) => conversation.choose(next)}
						onOwnKeys={() => setShowKeys(true)}
					/>
				)}
				{!readOnly && (
					<label className="row small workspaces-choice" title={t.workspacesHint}>
						<input type="checkbox" checked={workspaces} onChange={(event) => setWorkspaces(event.target.checked)} />
						{t.workspaces}
					</label>
				)}
				{!readOnly && (
					<Composer
						busy={chat.busy}
						disabled={choice === null || choice.model === ""}
						onSend={send}
						onStop={() => chat.stop()}
					/>
				)}
			</div>
			<OwnKeysDialog open={showKeys} onClose={() => setShowKeys(false)} providers={providers} state={own} />
		</div>
	);
}

function firstChoice(usable: readonly ProviderFacts[]): ModelChoice | null {
	const provider = usable[0];
	return provider === undefined ? null : { provider: provider.id, model: provider.models[0] ?? "" };
}

async function nameAfter(id: string, text: string): Promise<void> {
	const title = text.replace(/\s+/g, " ").trim().slice(0, titleLength);
	if (title === "") return;
	// A conversation without a name is still one.
	await hub.request(`/rooms/${encodeURIComponent(id)}`, { method: "PATCH", body: { title } }).catch(() => undefined);
	await refreshDocuments();
}
