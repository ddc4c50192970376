import type { ReactNode } from "react";
import { t } from "./text.ts";

/** Rows under named columns, with a last one for actions; on a phone its style stacks each row. */
export function DataTable(props: {
	/** Labels in their order, by any key. */
	columns: Readonly<Record<string, string>>;
	/** The last answer, while no new one comes. */
	stale: boolean;
	className: "stacking" | "machines";
	children: ReactNode;
}) {
	return (
		<div className={`card ${props.className}${props.stale ? " stale" : ""}`}>
			<table className="table">
				<thead>
					<tr>
						{Object.entries(props.columns).map(([key, label]) => (
							<th key={key} scope="col">
								{label}
							</th>
						))}
						<th scope="col">
							<span className="visually-hidden">{t.actions}</span>
						</th>
					</tr>
				</thead>
				<tbody>{props.children}</tbody>
			</table>
		</div>
	);
}
