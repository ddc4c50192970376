import type { SelectHTMLAttributes } from "react";
import { Field } from "./field.tsx";

interface SelectFieldProps<T extends string> extends Omit<SelectHTMLAttributes<HTMLSelectElement>, "id" | "onChange"> {
	readonly label: string;
	readonly options: readonly (readonly [value: T, label: string])[];
	readonly onChoose?: (value: T) => void;
}

/** One of a few under a label; controlled by `value` and `onChoose`, or read from its form by `name`. */
export function SelectField<T extends string>({ label, options, onChoose, ...select }: SelectFieldProps<T>) {
	return (
		<Field label={label}>
			{(ids) => (
				<select
					{...ids}
					className="select"
					{...select}
					{...(onChoose === undefined ? {} : { onChange: (event) => onChoose(event.target.value as T) })}
				>
					{options.map(([value, text]) => (
						<option key={value} value={value}>
							{text}
						</option>
					))}
				</select>
			)}
		</Field>
	);
}
