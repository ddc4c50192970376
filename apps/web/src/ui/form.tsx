import { type FormEvent, type InputHTMLAttributes, type ReactNode, useState } from "react";
import { Field } from "./field.tsx";
import { ErrorNotice } from "./states.tsx";

/**
 * A form whose submission may fail: its failure stands above the button until the next try.
 * @param act gets the form's values; what it throws is shown.
 */
export function useSubmit(act: (form: FormData, element: HTMLFormElement) => Promise<void>) {
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function submit(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const element = event.currentTarget;
		setBusy(true);
		setFailure(undefined);
		try {
			await act(new FormData(element), element);
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}
	return { busy, failure, onSubmit: (event: FormEvent<HTMLFormElement>) => void submit(event) };
}

export type Submission = ReturnType<typeof useSubmit>;

export function Form(props: { submission: Submission; className?: string; children: ReactNode; action: ReactNode }) {
	const { failure, onSubmit } = props.submission;
	return (
		<form className={props.className ?? "form"} onSubmit={onSubmit}>
			{props.children}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			{props.action}
		</form>
	);
}

export function SubmitButton({
	submission,
	children,
	end,
}: {
	submission: Submission;
	children: ReactNode;
	end?: boolean;
}) {
	const button = (
		<button type="submit" className="button primary" disabled={submission.busy} aria-busy={submission.busy}>
			{children}
		</button>
	);
	return end ? <div className="row end">{button}</div> : button;
}

interface TextFieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "id"> {
	readonly label: string;
	readonly hint?: ReactNode;
	readonly mono?: boolean;
}

export function TextField({ label, hint, mono, ...input }: TextFieldProps) {
	return (
		<Field label={label} {...(hint === undefined ? {} : { hint })}>
			{(ids) => <input {...ids} className={mono ? "input mono" : "input"} {...input} />}
		</Field>
	);
}

/** What is typed exactly: no help from the keyboard. */
export const exactInput = { autoCapitalize: "none", autoComplete: "off", spellCheck: false } as const;

export const textOf = (form: FormData, name: string) => String(form.get(name) ?? "").trim();
/** As it was typed: a secret's spaces are its own. */
export const secretOf = (form: FormData, name: string) => String(form.get(name) ?? "");
