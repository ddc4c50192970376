import { useEffect, useRef } from "react";
import { renameDocument } from "../../api/documents.ts";
import type { DocumentRecord } from "../../api/hub-types.ts";
import { toastError } from "../../ui/toast.tsx";
import { t } from "../text/docs.ts";
import { maxTitleLength } from "./document-actions.tsx";

/** The title, changed where it stands: Enter or leaving the field keeps it, Escape does not. */
export function TitleField(props: { record: DocumentRecord; editable: boolean; focus: boolean }) {
	const { record, editable } = props;
	const field = useRef<HTMLInputElement>(null);
	const wanted = useRef(props.focus);
	useEffect(() => {
		const input = field.current;
		// Another device renamed it; what is being typed here stays.
		if (input !== null && document.activeElement !== input) input.value = record.title;
	}, [record.title]);
	useEffect(() => {
		if (!editable || !wanted.current) return;
		wanted.current = false;
		field.current?.focus();
		field.current?.select();
	}, [editable]);

	async function keep(input: HTMLInputElement) {
		const title = input.value.trim();
		if (title === "" || title === record.title) {
			input.value = record.title;
			return;
		}
		try {
			await renameDocument(record.id, title);
		} catch (failure) {
			input.value = record.title;
			toastError(t.rename, failure);
		}
	}

	return (
		<h1 className="doc-title">
			<span className="visually-hidden">{record.title}</span>
			<input
				ref={field}
				aria-label={t.titleField}
				defaultValue={record.title}
				readOnly={!editable}
				maxLength={maxTitleLength}
				autoComplete="off"
				onBlur={(event) => void keep(event.currentTarget)}
				onKeyDown={(event) => {
					if (event.key === "Escape") event.currentTarget.value = record.title;
					if (event.key !== "Enter" && event.key !== "Escape") return;
					event.preventDefault();
					event.currentTarget.blur();
					document.querySelector<HTMLElement>(".prose-text")?.focus();
				}}
			/>
		</h1>
	);
}
