import "../../styles/documents.css";
import { ArrowLeft, CloudOff, Ellipsis, History } from "lucide-react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { refreshDocuments, useDocument } from "../../api/documents.ts";
import type { DocumentRecord } from "../../api/hub-types.ts";
import { Avatars } from "../../documents/avatars.tsx";
import { EditorView } from "../../documents/editor-view.tsx";
import type { OpenDocument } from "../../documents/open-document.ts";
import { useOpenDocument } from "../../documents/use-open-document.ts";
import { Menu } from "../../ui/menu.tsx";
import { Notice, Skeletons } from "../../ui/states.tsx";
import { StatusDot } from "../../ui/status-dot.tsx";
import { t } from "../text/docs.ts";
import { DocumentDialogs, DocumentMenuItems, type DocumentOverlay } from "./document-actions.tsx";
import { HistoryDialog } from "./history.tsx";
import { RefusedDocument } from "./refused-document.tsx";
import { TitleField } from "./title-field.tsx";

/** One document, live with everybody who has it open, and without a network with oneself. */
export function DocPage({ id }: { id: string }) {
	const opened = useOpenDocument(id);
	return opened === undefined ? (
		<div className="page doc-page">
			<Skeletons count={4} height={28} label={t.opening} />
		</div>
	) : (
		<LiveDocument id={id} document={opened} />
	);
}

function LiveDocument({ id, document }: { id: string; document: OpenDocument }) {
	const [, navigate] = useLocation();
	const isNew = new URLSearchParams(useSearch()).has("new");
	const view = useSyncExternalStore(
		(watcher) => document.watch(watcher),
		() => document.view,
	);
	const { data, refetch } = useDocument(id);
	const [overlay, setOverlay] = useState<DocumentOverlay | "history">();
	const record: DocumentRecord = data ?? {
		id,
		title: id,
		owner: "",
		access: "read-only",
		createdAt: 0,
		updatedAt: 0,
	};
	const { link } = view;
	const editable = data !== undefined && data.access !== "read-only" && link.kind !== "refused";

	// Back in step: access or title may be others now, and the list has a new order.
	useEffect(() => {
		if (link.kind !== "live") return;
		// What was made or renamed without the hub first.
		void refreshDocuments().then(() => refetch());
	}, [link.kind, refetch]);
	useEffect(() => {
		window.document.title = `${record.title} · Warren`;
		return () => {
			window.document.title = "Warren";
			void refreshDocuments();
		};
	}, [record.title]);

	return (
		<div className="page doc-page">
			<header className="doc-head">
				<Link className="icon-button" href="/docs" aria-label={t.back}>
					<ArrowLeft size={18} />
				</Link>
				<TitleField record={record} editable={editable && link.kind !== "connecting"} focus={isNew} />
				<Avatars people={view.people} />
				<LinkState state={link.kind} />
				<button
					type="button"
					className="icon-button"
					aria-label={t.history}
					title={t.history}
					onClick={() => setOverlay("history")}
				>
					<History size={18} />
				</button>
				<Menu
					label={t.menu}
					trigger={
						<button type="button" className="icon-button">
							<Ellipsis size={18} />
						</button>
					}
				>
					<DocumentMenuItems record={record} onOverlay={setOverlay} />
				</Menu>
			</header>
			{link.kind === "away" && (
				<Notice tone="warn" title={t.offlineTitle}>
					<span className="muted">
						{t.offline} {view.waiting && t.offlineWaiting}
					</span>
				</Notice>
			)}
			{link.kind === "refused" && (
				<RefusedDocument document={document} record={record} code={link.code} message={link.message} />
			)}
			{data?.access === "read-only" && link.kind !== "refused" && <p className="tag read-only-tag">{t.readOnlyNote}</p>}
			{!view.ready && link.kind === "away" && (
				<Notice title={t.notHereTitle}>
					<span className="muted">{t.notHere}</span>
				</Notice>
			)}
			{!view.ready && link.kind === "connecting" && <Skeletons count={5} height={22} label={t.opening} />}
			{view.ready && <EditorView document={document} title={record.title} editable={editable} />}
			{view.ready && <OtherData document={document} />}
			<HistoryDialog record={record} open={overlay === "history"} onClose={() => setOverlay(undefined)} />
			<DocumentDialogs
				record={record}
				overlay={overlay === "history" ? undefined : overlay}
				onClose={() => setOverlay(undefined)}
				onDeleted={(isGone) => {
					if (isGone) void document.forget();
					navigate("/docs", { replace: true });
				}}
			/>
		</div>
	);
}

function LinkState({ state }: { state: keyof typeof t.states }) {
	const shape = { connecting: "unknown", live: "up", away: "warn", refused: "down" } as const;
	return (
		<span className="doc-state" role="status">
			{state === "away" && <CloudOff size={15} aria-hidden="true" />}
			<StatusDot state={shape[state]}>{t.states[state]}</StatusDot>
		</span>
	);
}

/** A workspace's document has tables and no text: better said than shown as an empty page. */
function OtherData({ document }: { document: OpenDocument }) {
	const roots = [...document.doc.share.keys()].filter((root) => root !== "default");
	const empty = (document.doc.share.get("default")?._length ?? 0) === 0;
	return roots.length > 0 && empty ? <p className="small muted">{t.otherData}</p> : null;
}
