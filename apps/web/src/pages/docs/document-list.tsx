import { type LucideIcon, Plus, Search } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { makeDocument, useDocuments } from "../../api/documents.ts";
import type { DocumentRecord } from "../../api/hub-types.ts";
import { Empty, ErrorNotice, Skeletons, StaleNotice } from "../../ui/states.tsx";
import { toastError } from "../../ui/toast.tsx";
import { DocumentRow } from "./document-row.tsx";

/** A list this long gets a filter. */
const filterFrom = 8;

export interface DocumentKind {
	readonly icon: LucideIcon;
	/** Whether a document is of this kind. */
	has(record: DocumentRecord): boolean;
	/** What a new one is made with. */
	draft(): { readonly id?: string; readonly title: string };
	/** Where the list is; each document is below it. */
	readonly path: "/docs" | "/chat";
	readonly text: {
		readonly title: string;
		readonly create: string;
		readonly loading: string;
		readonly empty: string;
		readonly filter: string;
		none(query: string): string;
	};
}

/** A person's documents of one kind, own ones and those that others share: texts, conversations. */
export function DocumentList(props: { kind: DocumentKind; notice?: ReactNode; actions?: ReactNode }) {
	const { kind, notice, actions } = props;
	const { icon: Icon, path, text } = kind;
	const [, navigate] = useLocation();
	const [query, setQuery] = useState("");
	const [making, setMaking] = useState(false);
	const { data: all, error, isPending, dataUpdatedAt, refetch } = useDocuments();
	const data = all?.filter((each) => kind.has(each));
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
			const id = await makeDocument(kind.draft());
			navigate(`${path}/${encodeURIComponent(id)}?new`, { replace: wanted });
		} catch (failure) {
			toastError(text.create, failure);
			if (wanted) navigate(path, { replace: true });
			setMaking(false);
		}
	}

	const createButton = (style: string) => (
		<button type="button" className={style} disabled={making} aria-busy={making} onClick={() => void create()}>
			<Plus size={16} aria-hidden="true" /> {text.create}
		</button>
	);

	return (
		<div className="page">
			<header className="page-head">
				<h1>{text.title}</h1>
				<div className="actions">
					{createButton("button primary")}
					{actions}
				</div>
			</header>
			{error !== null && data === undefined && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{error !== null && data !== undefined && (
				<StaleNotice failure={error} at={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{notice}
			{isPending && <Skeletons count={4} height={64} label={text.loading} />}
			{data?.length === 0 && (
				<Empty icon={<Icon size={28} aria-hidden="true" />} action={createButton("button")}>
					{text.empty}
				</Empty>
			)}
			{data !== undefined && data.length >= filterFrom && (
				<div className="search-field">
					<Search size={16} aria-hidden="true" />
					<input
						type="search"
						className="input"
						aria-label={text.filter}
						placeholder={text.filter}
						value={query}
						onChange={(event) => setQuery(event.target.value)}
					/>
				</div>
			)}
			{data !== undefined && data.length > 0 && found.length === 0 && <p className="muted">{text.none(query)}</p>}
			{found.length > 0 && (
				<ul className="card docs-list">
					{found.map((each) => (
						<DocumentRow key={each.id} record={each} icon={Icon} href={`${path}/${encodeURIComponent(each.id)}`} />
					))}
				</ul>
			)}
		</div>
	);
}
