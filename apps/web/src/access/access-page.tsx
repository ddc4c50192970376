import "./access.css";
import { useEffect, useState } from "react";
import { useSearch } from "wouter";
import { ApiError } from "../api/exchange.ts";
import { queryClient } from "../api/warren.tsx";
import { NotHere } from "../pages/not-here.tsx";
import { ActionButton } from "../ui/action-button.tsx";
import { Segments } from "../ui/field.tsx";
import { ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { toast } from "../ui/toast.tsx";
import { type PolicyPreview, policyKey, previewPolicy, type StoredPolicy, usePolicy } from "./access-api.ts";
import { PolicyHistory } from "./policy-history.tsx";
import { linesIn, readDraft, writeDraft } from "./policy-text.ts";
import { RuleEditor } from "./rule-editor.tsx";
import { SaveDialog } from "./save-dialog.tsx";
import { SourceEditor } from "./source-editor.tsx";
import { t } from "./text.ts";

type Way = "form" | "source" | "history";

/** Who may reach whom: rules, source, tests, what a change would do, and every version of before. */
export function AccessPage() {
	const { data, error, isPending, refetch } = usePolicy();
	return (
		<div className="page">
			<header className="page-head">
				<div>
					<h1>{t.title}</h1>
					<p className="muted small">{t.lead}</p>
				</div>
			</header>
			{error !== null && data === undefined && (
				<NotHere failure={error} title={t.elsewhere} path="/access" onRetry={() => void refetch()} />
			)}
			{isPending && error === null && <Skeletons count={4} height={72} label={t.loading} />}
			{data !== undefined && <PolicyEditor stored={data} />}
		</div>
	);
}

function PolicyEditor({ stored }: { stored: StoredPolicy }) {
	const asked = Number(new URLSearchParams(useSearch()).get("line"));
	const [way, setWay] = useState<Way>(asked > 0 ? "source" : "form");
	const [base, setBase] = useState(stored);
	const [text, setText] = useState(stored.text);
	const [preview, setPreview] = useState<PolicyPreview>();
	const [failure, setFailure] = useState<unknown>();
	const [conflict, setConflict] = useState(false);
	const [goTo, setGoTo] = useState<{ line: number } | undefined>(asked > 0 ? { line: asked } : undefined);
	const dirty = text !== base.text;
	const draft = readDraft(text);
	const marked = failure instanceof ApiError && failure.status === 422 ? linesIn(failure.message) : [];

	// Nothing of one's own to lose: what is in force now is what is shown.
	useEffect(() => {
		if (dirty || stored.etag === base.etag) return;
		setBase(stored);
		setText(stored.text);
	}, [stored, dirty, base.etag]);
	useEffect(() => {
		if (!dirty) return;
		const ask = (event: BeforeUnloadEvent) => event.preventDefault();
		addEventListener("beforeunload", ask);
		return () => removeEventListener("beforeunload", ask);
	}, [dirty]);

	function edit(next: string) {
		setText(next);
		setFailure(undefined);
	}
	async function review() {
		setFailure(undefined);
		try {
			setPreview(await previewPolicy(text));
		} catch (thrown) {
			setFailure(thrown);
		}
	}
	/** @returns what is in force now. */
	async function latest(): Promise<StoredPolicy | undefined> {
		await queryClient.invalidateQueries({ queryKey: policyKey, exact: true });
		return queryClient.getQueryData<StoredPolicy>(policyKey);
	}
	function showLine(line: number) {
		setWay("source");
		setGoTo({ line });
	}

	return (
		<>
			<div className="row wrap between">
				<Segments
					label={t.views}
					value={way}
					options={[
						["form", t.form],
						["source", t.source],
						["history", t.history],
					]}
					onChange={setWay}
				/>
				<div className="row wrap">
					{dirty && <span className="tag warn">{t.dirty}</span>}
					<button type="button" className="button" disabled={!dirty} onClick={() => edit(base.text)}>
						{t.discard}
					</button>
					<ActionButton className="button primary" disabled={!dirty} act={review}>
						{t.review}
					</ActionButton>
				</div>
			</div>
			{conflict && (
				<Notice tone="warn" title={t.conflict.title}>
					<span>{t.conflict.body}</span>
					<div className="row wrap">
						<ActionButton
							className="button primary"
							act={async () => {
								const now = await latest();
								if (now !== undefined) setBase(now);
								setConflict(false);
								await review();
							}}
						>
							{t.conflict.review}
						</ActionButton>
						<ActionButton
							act={async () => {
								const now = await latest();
								if (now === undefined) return;
								setBase(now);
								edit(now.text);
								setConflict(false);
							}}
						>
							{t.conflict.take}
						</ActionButton>
					</div>
				</Notice>
			)}
			{failure !== undefined && (
				<div className="stack tight">
					<ErrorNotice failure={failure} title={t.refused} />
					<div className="row wrap">
						{marked.map((line) => (
							<button key={line} type="button" className="button" onClick={() => showLine(line)}>
								{t.atLine(line)}
							</button>
						))}
					</div>
				</div>
			)}
			{way === "form" &&
				(draft === null ? (
					<Notice tone="warn" title={t.notShown} />
				) : (
					<RuleEditor draft={draft} onChange={(next) => edit(writeDraft(next))} />
				))}
			{way === "source" && <SourceEditor text={text} marked={marked} goTo={goTo} onChange={edit} />}
			{way === "history" && (
				<PolicyHistory
					onRestore={(old) => {
						edit(old);
						setWay("source");
						toast.add({ title: t.versions.restored });
					}}
				/>
			)}
			<SaveDialog
				preview={preview}
				text={text}
				etag={base.etag}
				onClose={() => setPreview(undefined)}
				onSaved={(policy) => {
					setPreview(undefined);
					setBase(policy);
					setText(policy.text);
					queryClient.setQueryData(policyKey, policy);
					toast.add({ title: t.saved });
				}}
				onConflict={() => {
					setPreview(undefined);
					setConflict(true);
				}}
			/>
		</>
	);
}
