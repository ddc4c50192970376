import type { ReactNode } from "react";
import { ErrorNotice, Skeletons } from "./states.tsx";

interface Listed<T> {
	readonly data: readonly T[] | undefined;
	readonly error: Error | null;
	refetch(): unknown;
}

/** A part of a page that lists things of one kind, loading or failing in its place. */
export function ListSection<T extends { readonly id: string }>(props: {
	id: string;
	title: string;
	lead: string;
	list: Listed<T>;
	/** What stands in each row. */
	row: (each: T) => ReactNode;
	/** Below the list: how one gets another, or why one does not. */
	children: ReactNode;
}) {
	const { data, error, refetch } = props.list;
	return (
		<section className="section" aria-labelledby={props.id}>
			<header>
				<h2 id={props.id}>{props.title}</h2>
				<p>{props.lead}</p>
			</header>
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{data === undefined && error === null && <Skeletons count={1} height={52} label={props.title} />}
			{data !== undefined && data.length > 0 && (
				<ul className="card list">
					{data.map((each) => (
						<li key={each.id}>{props.row(each)}</li>
					))}
				</ul>
			)}
			{props.children}
		</section>
	);
}

/** Makes one more, and says so while there is none. */
export function MakeRow(props: { label: string; onMake: () => void; empty: boolean; none: string }) {
	return (
		<div className="row wrap">
			<button type="button" className="button" onClick={props.onMake}>
				{props.label}
			</button>
			{props.empty && <span className="small faint">{props.none}</span>}
		</div>
	);
}
