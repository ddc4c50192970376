import { FileText, Plus, Search } from "lucide-react";
import { useEffect, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { makeDocument, useDocuments } from "../../api/documents.ts";
import { Empty, ErrorNotice, Skeletons, StaleNotice } from "../../ui/states.tsx";
import { toastError } from "../../ui/toast.tsx";
import { t } from "../text/docs.ts";
import { DocumentRow } from "./document-row.tsx";

/** A list this long gets a filter. */
const filterFrom = 8;

/** A person's documents: own ones and those that others share. */
export function DocsPage() {
	const [, navigate] = useLocation();
	const [query, setQuery] = useState("");
	const [making, setMaking] = useState(false);
	const { data: all, error, isPending, dataUpdatedAt, refetch } = useDocuments();
	// Conversations, settings and workspaces are documents with places of their own.
	const data = all?.filter((each) => !/^(chat|settings|workspace)-/.test(each.id));
	const found = (data ?? []).filter((each) => each.title.toLowerCase().includes(query.trim().toLowerCase()));

	const wanted = new URLSearchParams(useSearch()).has("new");
	// biome-ignore lint/correctness/useExhaustiveDependencies: one document for one wish
	useEffect(() => {
		if (wanted) void create();
	}, [wanted]);

	async function create() {
		if (making) return;
		setMaking(true);
		try {
			const id = await makeDocument(t.untitled);
			navigate(`/docs/${encodeURIComponent(id)}?new`, { replace: wanted });
		} catch (failure) {
			toastError(t.create, failure);
			if (wanted) navigate("/docs", { replace: true });
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
			{isPending && <Skeletons count={4} height={64} label={t.loading} />}
			{data?.length === 0 && (
				<Empty icon={<FileText size={28} aria-hidden="true" />} action={createButton("button")}>
					{t.empty}
				</Empty>
			)}
			{data !== undefined && data.length >= filterFrom && (
				<div className="search-field">
					<Search size={16} aria-hidden="true" />
					<input
						type="search"
						className="input"
						aria-label={t.filter}
						placeholder={t.filter}
						value={query}
						onChange={(event) => setQuery(event.target.value)}
					/>
				</div>
			)}
			{data !== undefined && data.length > 0 && found.length === 0 && <p className="muted">{t.none(query)}</p>}
			{found.length > 0 && (
				<ul className="card docs-list">
					{found.map((each) => (
						<DocumentRow key={each.id} record={each} />
					))}
				</ul>
			)}
		</div>
	);
}
