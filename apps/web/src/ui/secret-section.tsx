import type { ReactNode } from "react";
import { Form, type Submission } from "./form.tsx";

/** A part of a page that changes a secret: the old one and the new one side by side. */
export function SecretSection(props: {
	id: string;
	title: string;
	lead: string;
	submission: Submission;
	action: string;
	children: ReactNode;
}) {
	const { submission } = props;
	return (
		<section className="section" aria-labelledby={props.id}>
			<header>
				<h2 id={props.id}>{props.title}</h2>
				<p>{props.lead}</p>
			</header>
			<Form
				submission={submission}
				className="card padded form pairs"
				action={
					<div className="row end">
						<button type="submit" className="button" disabled={submission.busy} aria-busy={submission.busy}>
							{props.action}
						</button>
					</div>
				}
			>
				{props.children}
			</Form>
		</section>
	);
}
