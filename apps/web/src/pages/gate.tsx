import type { ReactNode } from "react";
import { Mark } from "../shell/mark.tsx";

/** A page that stands alone: one card under the mark. */
export function Gate(props: { title: string; lead?: ReactNode; step?: string; children: ReactNode; foot?: ReactNode }) {
	return (
		<main className="gate">
			<div className="gate-card">
				<div className="gate-head">
					<Mark size={40} />
					{props.step !== undefined && <p className="step">{props.step}</p>}
					<h1>{props.title}</h1>
					{props.lead !== undefined && <p className="muted">{props.lead}</p>}
				</div>
				{props.children}
				{props.foot !== undefined && <div className="gate-foot">{props.foot}</div>}
			</div>
		</main>
	);
}
