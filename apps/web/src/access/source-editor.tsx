import { useEffect, useId, useRef } from "react";
import { t } from "./text.ts";

/** The policy's text with its line numbers; the lines that a refusal names are marked. */
export function SourceEditor(props: {
	text: string;
	marked: readonly number[];
	/** Where the caret goes; another object goes there again. */
	goTo: { readonly line: number } | undefined;
	onChange: (text: string) => void;
}) {
	const { text, marked, goTo } = props;
	const id = useId();
	const area = useRef<HTMLTextAreaElement>(null);
	const gutter = useRef<HTMLDivElement>(null);
	const count = text.split("\n").length;
	const latest = useRef(text);
	latest.current = text;
	useEffect(() => {
		const element = area.current;
		if (goTo === undefined || element === null) return;
		const lines = latest.current.split("\n");
		const at = Math.min(goTo.line, lines.length) - 1;
		const start = lines.slice(0, at).reduce((sum, line) => sum + line.length + 1, 0);
		element.focus();
		element.setSelectionRange(start, start + (lines[at]?.length ?? 0));
		element.scrollTop = (element.scrollHeight / lines.length) * Math.max(0, at - 4);
	}, [goTo]);
	return (
		<div className="card source-editor">
			<div ref={gutter} className="gutter mono" aria-hidden="true">
				{Array.from({ length: count }, (_, index) => (
					// biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
					<span key={index} data-marked={marked.includes(index + 1)}>
						{index + 1}
					</span>
				))}
			</div>
			<label className="visually-hidden" htmlFor={id}>
				{t.sourceLabel}
			</label>
			<textarea
				id={id}
				ref={area}
				className="mono"
				wrap="off"
				rows={Math.min(40, Math.max(14, count + 1))}
				spellCheck={false}
				autoCapitalize="none"
				autoComplete="off"
				aria-invalid={marked.length > 0}
				value={text}
				onChange={(event) => props.onChange(event.target.value)}
				onScroll={(event) => {
					if (gutter.current !== null) gutter.current.scrollTop = event.currentTarget.scrollTop;
				}}
			/>
		</div>
	);
}
