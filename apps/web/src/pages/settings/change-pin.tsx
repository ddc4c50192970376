import { basic } from "../../api/client.ts";
import { self } from "../../api/machine.ts";
import { api } from "../../api/warren.tsx";
import { exactInput, secretOf, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { SecretSection } from "../../ui/secret-section.tsx";
import { toast } from "../../ui/toast.tsx";
import { t } from "../text/settings.ts";

export function ChangePin() {
	const submission = useSubmit(async (form, element) => {
		await api.request(self, "/api/credentials", {
			method: "PUT",
			body: { user: textOf(form, "newUser"), pin: secretOf(form, "newPin") },
			authorization: basic(secretOf(form, "user"), secretOf(form, "pin")),
		});
		element.reset();
		toast.add({ title: t.changed, type: "info" });
	});
	return (
		<SecretSection id="pin" title={t.pin} lead={t.pinLead} submission={submission} action={t.change}>
			<TextField {...exactInput} label={t.currentUser} name="user" autoComplete="username" required />
			<TextField label={t.currentPin} name="pin" type="password" autoComplete="current-password" required />
			<TextField {...exactInput} label={t.newUser} name="newUser" maxLength={64} required />
			<TextField label={t.newPin} name="newPin" type="password" autoComplete="new-password" minLength={6} required />
		</SecretSection>
	);
}
