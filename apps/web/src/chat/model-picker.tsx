import { KeyRound } from "lucide-react";
import { useId } from "react";
import type { ModelChoice } from "./conversation.ts";
import { type ProviderFacts, useModels } from "./providers.ts";
import { t } from "./text.ts";

/** Provider and model; any other name of a model can be typed. */
export function ModelPicker(props: {
	providers: readonly ProviderFacts[];
	choice: ModelChoice;
	onChoose: (choice: ModelChoice) => void;
	onOwnKeys: () => void;
}) {
	const list = useId();
	const { choice, providers } = props;
	const provider = providers.find((each) => each.id === choice.provider);
	const models = useModels(provider);
	return (
		<div className="model-picker">
			<select
				className="select"
				aria-label={t.provider}
				value={choice.provider}
				onChange={({ target }) => {
					const next = providers.find((each) => each.id === target.value);
					props.onChoose({ provider: target.value, model: next?.models[0] ?? "" });
				}}
			>
				{providers.map((each) => (
					<option key={each.id} value={each.id}>
						{each.name}
					</option>
				))}
			</select>
			<input
				className="input mono"
				aria-label={t.model}
				title={t.anyModel}
				list={list}
				placeholder={t.model}
				value={choice.model}
				autoCapitalize="none"
				autoComplete="off"
				spellCheck={false}
				onChange={({ target }) => props.onChoose({ ...choice, model: target.value.trim() })}
			/>
			<datalist id={list}>
				{models?.map((each) => (
					<option key={each} value={each} />
				))}
			</datalist>
			<button type="button" className="icon-button" aria-label={t.ownKeys} title={t.ownKeys} onClick={props.onOwnKeys}>
				<KeyRound size={17} />
			</button>
		</div>
	);
}
