import { self } from "../../api/machine.ts";
import type { Peer } from "../../api/types.ts";
import { api, queryClient } from "../../api/warren.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { t } from "../text/machines.ts";

export function AddByAddress({ onDone }: { onDone: () => void }) {
	const submission = useSubmit(async (form) => {
		const name = textOf(form, "name");
		await api.request<Peer>(self, "/api/peers", {
			method: "POST",
			body: {
				host: textOf(form, "host"),
				port: Number(form.get("port")),
				...(name === "" ? {} : { name }),
			},
		});
		await queryClient.invalidateQueries({ queryKey: [self, "peers"] });
		onDone();
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.addAction}
				</SubmitButton>
			}
		>
			<div className="host-port">
				<TextField {...exactInput} mono label={t.host} hint={t.hostHint} name="host" maxLength={253} required />
				<TextField
					mono
					label={t.port}
					name="port"
					type="number"
					inputMode="numeric"
					min={1}
					max={65535}
					defaultValue={5151}
					required
				/>
			</div>
			<TextField label={t.name} hint={t.nameHint} name="name" autoComplete="off" maxLength={64} />
		</Form>
	);
}
