import { self } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { t } from "./text/machine-name.ts";

/** What this machine is called: at once for people, at its next start for its certificate and the network. */
export function MachineNameForm({ name, onDone }: { name: string; onDone: () => void }) {
	const submission = useSubmit(async (form) => {
		const wanted = textOf(form, "name");
		if (wanted !== name) {
			await api.request(self, "/api/name", { method: "PUT", body: { name: wanted } });
			// Its lists follow in their own time.
			void queryClient.invalidateQueries({ queryKey: [self] });
		}
		onDone();
	});
	return (
		<Form submission={submission} action={<SubmitButton submission={submission}>{t.submit}</SubmitButton>}>
			<TextField label={t.name} name="name" defaultValue={name} autoComplete="off" maxLength={63} required />
		</Form>
	);
}
