import type { Editor } from "@tiptap/core";
import { t } from "../pages/text/docs.ts";
import { Dialog } from "../ui/dialog.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";

/** The address behind the selection, or behind the link that the caret stands in. */
export function LinkDialog({ editor, open, onClose }: { editor: Editor; open: boolean; onClose: () => void }) {
	const submission = useSubmit(async (form) => {
		const address = textOf(form, "address");
		if (address !== "" && !/^(https?:\/\/|mailto:)\S+$/i.test(address)) throw new Error(t.linkBad);
		const chain = editor.chain().focus().extendMarkRange("link");
		if (address === "") chain.unsetLink().run();
		else if (editor.state.selection.empty && !editor.isActive("link"))
			chain.insertContent({ type: "text", text: address, marks: [{ type: "link", attrs: { href: address } }] }).run();
		else chain.setLink({ href: address }).run();
		onClose();
	});
	const current: unknown = editor.getAttributes("link").href;
	return (
		<Dialog open={open} onClose={onClose} title={t.linkTitle}>
			<Form
				submission={submission}
				action={
					<SubmitButton submission={submission} end>
						{t.linkSet}
					</SubmitButton>
				}
			>
				<TextField
					{...exactInput}
					mono
					label={t.linkAddress}
					hint={t.linkHint}
					name="address"
					inputMode="url"
					maxLength={2000}
					defaultValue={typeof current === "string" ? current : "https://"}
				/>
			</Form>
		</Dialog>
	);
}
