import { Trash2 } from "lucide-react";
import { useReducer } from "react";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { exactInput, Form, SubmitButton, secretOf, TextField, textOf, useSubmit } from "../ui/form.tsx";
import type { ProviderFacts } from "./providers.ts";
import { t } from "./text.ts";
import type { OwnKeysState } from "./use-own-keys.ts";

/** A person's own keys: one passphrase, then a key a provider. */
export function OwnKeysDialog(props: {
	open: boolean;
	onClose: () => void;
	providers: readonly ProviderFacts[];
	state: OwnKeysState;
}) {
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.ownKeys} lead={t.ownKeysLead}>
			<Body {...props} />
		</Dialog>
	);
}

function Body({ providers, state }: { providers: readonly ProviderFacts[]; state: OwnKeysState }) {
	const [, render] = useReducer((count: number) => count + 1, 0);
	const { keys } = state;
	const kept = keys?.providers() ?? [];
	const submission = useSubmit(async (form, element) => {
		if (keys === undefined) {
			await state.create();
			return;
		}
		if (!(await keys.unlock(secretOf(form, "passphrase")))) throw new Error(t.wrongPassphrase);
		const key = textOf(form, "key");
		if (key !== "") await keys.set(textOf(form, "provider"), key);
		element.reset();
		render();
	});
	if (keys === undefined) {
		return (
			<Form submission={submission} action={<SubmitButton submission={submission}>{t.ownKey}</SubmitButton>}>
				<p className="muted">{t.noneKept}</p>
			</Form>
		);
	}
	return (
		<Form
			submission={submission}
			action={<SubmitButton submission={submission}>{keys.locked ? t.unlock : t.keep}</SubmitButton>}
		>
			<p className="muted">{kept.length === 0 ? t.noneKept : t.kept(kept.join(", "))}</p>
			<TextField
				label={t.passphrase}
				hint={t.passphraseHint}
				name="passphrase"
				type="password"
				autoComplete="off"
				required
				minLength={8}
			/>
			{!keys.locked && (
				<>
					<Field label={t.provider}>
						{(ids) => (
							<select {...ids} className="select" name="provider">
								{providers
									.filter((each) => each.keyVariable !== null)
									.map((each) => (
										<option key={each.id} value={each.id}>
											{each.name}
										</option>
									))}
							</select>
						)}
					</Field>
					<TextField label={t.key} name="key" type="password" mono {...exactInput} />
					{kept.map((each) => (
						<button
							key={each}
							type="button"
							className="button danger"
							onClick={() => void keys.set(each, "").then(render)}
						>
							<Trash2 size={15} aria-hidden="true" /> {t.remove(each)}
						</button>
					))}
				</>
			)}
		</Form>
	);
}
