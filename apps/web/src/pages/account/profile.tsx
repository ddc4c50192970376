import { FileDown } from "lucide-react";
import { useState } from "react";
import { account, hub } from "../../api/hub.ts";
import type { Person } from "../../api/hub-types.ts";
import { queryClient } from "../../api/warren.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { dayOf } from "../../ui/time.ts";
import { useSaveDocuments } from "../docs/take-along.tsx";
import { HubName, OtherHub } from "../hub-choice.tsx";
import { signOutOfAccount } from "../settings/sign-out.tsx";
import { t } from "../text/account.ts";
import { t as hubText } from "../text/hub-choice.ts";

export function Profile({ person }: { person: Person }) {
	const [open, setOpen] = useState<"rename" | "sign-out" | "hub">();
	const close = () => setOpen(undefined);
	return (
		<section className="section" aria-labelledby="profile">
			<header>
				<h2 id="profile">{t.profile}</h2>
			</header>
			<dl className="card facts">
				<dt>{t.name}</dt>
				<dd>{person.name}</dd>
				<dt>{t.email}</dt>
				<dd>{person.email}</dd>
				<dt>{t.role}</dt>
				<dd>{t.roles[person.role] ?? person.role}</dd>
				<dt>{t.since}</dt>
				<dd>{dayOf(person.createdAt)}</dd>
				<dt>{t.hub}</dt>
				<dd>
					<HubName />
				</dd>
			</dl>
			<div className="row wrap">
				<button type="button" className="button" onClick={() => setOpen("rename")}>
					{t.rename}
				</button>
				<button type="button" className="button" onClick={() => setOpen("hub")}>
					{hubText.another}
				</button>
				<button type="button" className="button danger" onClick={() => setOpen("sign-out")}>
					{t.signOut}
				</button>
			</div>
			<Dialog open={open === "rename"} onClose={close} title={t.renameTitle}>
				<RenameForm name={person.name} onDone={close} />
			</Dialog>
			<OtherHub open={open === "hub"} onClose={close}>
				<p className="small">{hubText.takeAlong}</p>
				<SaveDocuments />
			</OtherHub>
			<Confirm
				open={open === "sign-out"}
				onClose={close}
				title={t.signOutTitle}
				action={t.signOut}
				onConfirm={signOutOfAccount}
			>
				{t.signOutBody}
			</Confirm>
		</section>
	);
}

function SaveDocuments() {
	const { save, busy } = useSaveDocuments();
	return (
		<button type="button" className="button" disabled={busy} onClick={() => void save()}>
			<FileDown size={16} aria-hidden="true" /> {hubText.save}
		</button>
	);
}

function RenameForm({ name, onDone }: { name: string; onDone: () => void }) {
	const submission = useSubmit(async (form) => {
		const next = textOf(form, "name");
		await hub.request("/me", { method: "PATCH", body: { name: next } });
		const kept = account.get();
		if (kept !== undefined) account.put({ ...kept, name: next });
		await queryClient.invalidateQueries({ queryKey: ["hub", "me"] });
		onDone();
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.save}
				</SubmitButton>
			}
		>
			<TextField label={t.name} name="name" autoComplete="name" defaultValue={name} maxLength={120} required />
		</Form>
	);
}
