import { Braces, Download, FileDown, Pencil, Share2, Trash2 } from "lucide-react";
import { deleteDocument, refreshDocuments, renameDocument } from "../../api/documents.ts";
import type { DocumentRecord } from "../../api/hub-types.ts";
import { loadChunk } from "../../chunks/load-chunk.ts";
import type { ExportFormat } from "../../documents/export.ts";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { MenuItem, MenuSeparator } from "../../ui/menu.tsx";
import { toast, toastError } from "../../ui/toast.tsx";
import { t } from "../text/docs.ts";
import { ShareDocument } from "./share-document.tsx";

export type DocumentOverlay = "rename" | "share" | "delete";
export const maxTitleLength = 200;

/** What may be done with a document as a whole, by what this person may. */
export function DocumentMenuItems(props: { record: DocumentRecord; onOverlay: (overlay: DocumentOverlay) => void }) {
	const { record, onOverlay } = props;
	async function download(format: ExportFormat) {
		try {
			// The editor's own code comes along, and only for this.
			const { exportDocument } = await loadChunk(() => import("../../documents/export.ts"));
			await exportDocument(record, format);
		} catch (failure) {
			toastError(record.title, failure);
		}
	}
	return (
		<>
			{record.access !== "read-only" && (
				<MenuItem icon={<Pencil size={16} />} onSelect={() => onOverlay("rename")}>
					{t.rename}
				</MenuItem>
			)}
			{record.access === "owner" && (
				<MenuItem icon={<Share2 size={16} />} onSelect={() => onOverlay("share")}>
					{t.share}
				</MenuItem>
			)}
			<MenuItem icon={<FileDown size={16} />} onSelect={() => void download("markdown")}>
				{t.exportMarkdown}
			</MenuItem>
			<MenuItem icon={<Braces size={16} />} onSelect={() => void download("json")}>
				{t.exportJson}
			</MenuItem>
			<MenuItem icon={<Download size={16} />} onSelect={() => void download("update")}>
				{t.exportUpdate}
			</MenuItem>
			{record.access === "owner" && (
				<>
					<MenuSeparator />
					<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => onOverlay("delete")}>
						{t.delete}
					</MenuItem>
				</>
			)}
		</>
	);
}

export function DocumentDialogs(props: {
	record: DocumentRecord;
	overlay: DocumentOverlay | undefined;
	onClose: () => void;
	/** @param isGone false = it goes when the hub is back, and may be kept until then. */
	onDeleted?: (isGone: boolean) => void;
}) {
	const { record, overlay, onClose } = props;
	return (
		<>
			<Dialog open={overlay === "rename"} onClose={onClose} title={t.renameTitle(record.title)}>
				<RenameForm record={record} onDone={onClose} />
			</Dialog>
			<ShareDocument record={record} open={overlay === "share"} onClose={onClose} />
			<Confirm
				open={overlay === "delete"}
				onClose={onClose}
				title={t.deleteTitle(record.title)}
				action={t.delete}
				onConfirm={async () => {
					const isGone = await deleteDocument(record.id);
					props.onDeleted?.(isGone);
					if (isGone) await refreshDocuments();
					toast.add({ title: (isGone ? t.deleted : t.deletionWaits)(record.title), type: "info" });
				}}
			>
				{t.deleteBody(record.title)}
			</Confirm>
		</>
	);
}

function RenameForm({ record, onDone }: { record: DocumentRecord; onDone: () => void }) {
	const submission = useSubmit(async (form) => {
		await renameDocument(record.id, textOf(form, "title"));
		onDone();
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.rename}
				</SubmitButton>
			}
		>
			<TextField
				label={t.name}
				name="title"
				defaultValue={record.title}
				maxLength={maxTitleLength}
				autoComplete="off"
				required
			/>
		</Form>
	);
}
