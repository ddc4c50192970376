import { hub } from "../api/hub.ts";
import { Form, SubmitButton, secretOf, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { EmailField } from "./account-sign-in.tsx";
import { t } from "./text/account-entry.ts";

/** What lets somebody make an account: the first one by the setup link, later ones by an invitation. */
export type Admission = { readonly setup: string } | { readonly invitation: string };

export function AccountSignUp({ admission, onDone }: { admission: Admission; onDone: () => Promise<void> | void }) {
	const submission = useSubmit(async (form) => {
		const password = secretOf(form, "password");
		if (password !== secretOf(form, "again")) throw new Error(t.differ);
		await hub.signIn(
			"/auth/signup",
			{
				name: textOf(form, "name"),
				email: textOf(form, "email"),
				password,
				...("invitation" in admission ? { invitation: admission.invitation } : {}),
			},
			{ cookies: false, ...("setup" in admission ? { headers: { "x-warren-setup": admission.setup } } : {}) },
		);
		await onDone();
	});
	return (
		<Form submission={submission} action={<SubmitButton submission={submission}>{t.create}</SubmitButton>}>
			<TextField label={t.name} name="name" autoComplete="name" maxLength={120} required />
			<EmailField />
			<TextField
				label={t.password}
				hint={t.passwordHint}
				name="password"
				type="password"
				autoComplete="new-password"
				minLength={10}
				maxLength={128}
				required
			/>
			<TextField label={t.again} name="again" type="password" autoComplete="new-password" required />
		</Form>
	);
}
