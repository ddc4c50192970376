import { type ReactNode, useId } from "react";

export function Field(props: {
	label: string;
	hint?: ReactNode;
	children: (ids: { id: string; "aria-describedby"?: string }) => ReactNode;
}) {
	const id = useId();
	return (
		<div className="field">
			<label className="label" htmlFor={id}>
				{props.label}
			</label>
			{props.children(props.hint === undefined ? { id } : { id, "aria-describedby": `${id}-hint` })}
			{props.hint !== undefined && (
				<span className="hint" id={`${id}-hint`}>
					{props.hint}
				</span>
			)}
		</div>
	);
}

/** One of a few, all in sight. */
export function Segments<T extends string>(props: {
	label: string;
	value: T;
	options: readonly (readonly [value: T, label: string])[];
	onChange: (value: T) => void;
}) {
	const name = useId();
	return (
		<div className="segments" role="radiogroup" aria-label={props.label}>
			{props.options.map(([value, label]) => (
				<label key={value}>
					<input type="radio" name={name} checked={value === props.value} onChange={() => props.onChange(value)} />
					{label}
				</label>
			))}
		</div>
	);
}
