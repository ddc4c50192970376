import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { documentPath } from "../../api/documents.ts";
import { hub } from "../../api/hub.ts";
import type { Checkpoint, DocumentRecord } from "../../api/hub-types.ts";
import { queryClient } from "../../api/warren.tsx";
import { contentOf, openPreview } from "../../documents/editor.ts";
import { editorLabels } from "../../documents/editor-view.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { Empty, ErrorNotice, Skeletons } from "../../ui/states.tsx";
import { agoOf, bytesOf, momentOf } from "../../ui/time.ts";
import { toast } from "../../ui/toast.tsx";
import { t } from "../text/docs.ts";

/** The versions that the hub keeps: to look at, to name, to go back to. */
export function HistoryDialog(props: { record: DocumentRecord; open: boolean; onClose: () => void }) {
	const { record } = props;
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.historyTitle(record.title)} lead={t.historyLead} large>
			{props.open && <Versions record={record} onRestored={props.onClose} />}
		</Dialog>
	);
}

function Versions({ record, onRestored }: { record: DocumentRecord; onRestored: () => void }) {
	const path = `${documentPath(record.id)}/checkpoints`;
	const key = ["hub", "checkpoints", record.id];
	const [chosen, setChosen] = useState<number>();
	const { data, error, isPending, refetch } = useQuery({
		queryKey: key,
		queryFn: async ({ signal }) => (await hub.request<{ checkpoints: Checkpoint[] }>(path, { signal })).checkpoints,
		staleTime: 0,
	});
	const mayWrite = record.access !== "read-only";
	const version = data?.find((each) => each.id === chosen);
	return (
		<>
			{mayWrite && (
				<KeepVersion
					path={path}
					onKept={(checkpoint) => {
						setChosen(checkpoint.id);
						void queryClient.invalidateQueries({ queryKey: key });
					}}
				/>
			)}
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{isPending && <Skeletons count={3} height={48} label={t.historyLoading} />}
			{data?.length === 0 && <Empty>{t.historyEmpty}</Empty>}
			{data !== undefined && data.length > 0 && (
				<div className="versions">
					<ul className="card version-list" aria-label={t.versions}>
						{data.map((each) => (
							<li key={each.id}>
								<button type="button" aria-pressed={each.id === chosen} onClick={() => setChosen(each.id)}>
									<span className="clip">{each.label === "periodic" ? momentOf(each.at) : each.label}</span>
									<span className="small faint">
										{agoOf(each.at)} · {each.label === "periodic" ? t.periodic : bytesOf(each.bytes)}
									</span>
								</button>
							</li>
						))}
					</ul>
					{version === undefined ? (
						<p className="muted version-pick">{t.pick}</p>
					) : (
						<Version
							key={version.id}
							path={`${path}/${version.id}`}
							version={version}
							mayRestore={mayWrite}
							onRestored={onRestored}
						/>
					)}
				</div>
			)}
		</>
	);
}

function KeepVersion({ path, onKept }: { path: string; onKept: (checkpoint: Checkpoint) => void }) {
	const submission = useSubmit(async (form, element) => {
		const label = textOf(form, "label");
		const { checkpoint } = await hub.request<{ checkpoint: Checkpoint | null }>(path, {
			method: "POST",
			body: { label },
		});
		if (checkpoint === null) throw new Error(t.versionEmpty);
		element.reset();
		toast.add({ title: t.versionSaved(label), type: "info" });
		onKept(checkpoint);
	});
	return (
		<Form
			submission={submission}
			className="form inline-form"
			action={<SubmitButton submission={submission}>{t.saveVersion}</SubmitButton>}
		>
			<TextField label={t.versionName} name="label" maxLength={80} autoComplete="off" required />
		</Form>
	);
}

function Version(props: { path: string; version: Checkpoint; mayRestore: boolean; onRestored: () => void }) {
	const { version } = props;
	const when = momentOf(version.at);
	const host = useRef<HTMLDivElement>(null);
	const [confirming, setConfirming] = useState(false);
	const update = useQuery({
		queryKey: ["hub", "checkpoint", props.path],
		queryFn: ({ signal }) => hub.bytes(props.path, { signal }),
		staleTime: Number.POSITIVE_INFINITY,
		gcTime: 60_000,
	});
	const bytes = update.data;
	useEffect(() => {
		if (bytes === undefined || host.current === null) return;
		const preview = openPreview(host.current, contentOf(bytes), editorLabels(t.versionOf(when)));
		return () => preview.destroy();
	}, [bytes, when]);
	return (
		<div className="version">
			<div className="row wrap between">
				<h3>{t.versionOf(when)}</h3>
				{props.mayRestore && (
					<button type="button" className="button" onClick={() => setConfirming(true)}>
						{t.restore}
					</button>
				)}
			</div>
			{update.isPending && <Skeletons count={3} height={20} label={t.historyLoading} />}
			{update.isError && <ErrorNotice failure={update.error} onRetry={() => void update.refetch()} />}
			<div className="doc-text preview" ref={host} />
			<Confirm
				open={confirming}
				onClose={() => setConfirming(false)}
				title={t.restoreTitle(when)}
				action={t.restore}
				onConfirm={async () => {
					await hub.request(`${props.path}/restore`, { method: "POST" });
					toast.add({ title: t.restored, type: "info" });
					props.onRestored();
				}}
			>
				{t.restoreBody}
			</Confirm>
		</div>
	);
}
