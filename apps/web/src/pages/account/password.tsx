import { hub } from "../../api/hub.ts";
import { queryClient } from "../../api/warren.tsx";
import { secretOf, TextField, useSubmit } from "../../ui/form.tsx";
import { SecretSection } from "../../ui/secret-section.tsx";
import { toast } from "../../ui/toast.tsx";
import { t } from "../text/account.ts";
import { t as entry } from "../text/account-entry.ts";

export function Password({ email }: { email: string }) {
	const submission = useSubmit(async (form, element) => {
		const changed = await hub.request<{ token: string | null }>("/auth/change-password", {
			method: "POST",
			body: {
				currentPassword: secretOf(form, "current"),
				newPassword: secretOf(form, "next"),
				revokeOtherSessions: true,
			},
		});
		// This browser's own session is replaced with the others'.
		if (typeof changed.token === "string") await hub.adopt(changed.token);
		element.reset();
		toast.add({ title: t.changed, type: "info" });
		await queryClient.invalidateQueries({ queryKey: ["hub"] });
	});
	return (
		<SecretSection id="password" title={t.password} lead={t.passwordLead} submission={submission} action={t.change}>
			{/* For the browser's password keeper: which account this is about. */}
			<input type="email" name="username" autoComplete="username" value={email} readOnly hidden />
			<TextField label={t.current} name="current" type="password" autoComplete="current-password" required />
			<TextField
				label={t.next}
				hint={entry.passwordHint}
				name="next"
				type="password"
				autoComplete="new-password"
				minLength={10}
				maxLength={128}
				required
			/>
		</SecretSection>
	);
}
