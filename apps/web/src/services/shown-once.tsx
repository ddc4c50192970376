import type { ReactNode } from "react";
import { Copyable } from "../ui/copyable.tsx";
import { t } from "./text.ts";

/** A secret that nobody can show again. */
export function ShownOnce(props: {
	lead: string;
	secret: string;
	label: string;
	children?: ReactNode;
	onDone: () => void;
}) {
	return (
		<div className="stack tight">
			<p className="muted">{props.lead}</p>
			<Copyable block text={props.secret} label={props.label} />
			{props.children}
			<div className="row end">
				<button type="button" className="button primary" onClick={props.onDone}>
					{t.ok}
				</button>
			</div>
		</div>
	);
}
