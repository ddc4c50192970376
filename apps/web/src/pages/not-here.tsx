import { ApiError } from "../api/exchange.ts";
import { ErrorNotice, Notice } from "../ui/states.tsx";

/** What only a warren's first machine has: elsewhere that is no failure, and says where to go. */
export function NotHere(props: { failure: unknown; title: string; path: string; onRetry: () => void }) {
	const first = props.failure instanceof ApiError ? props.failure.details.firstMachine : undefined;
	if (typeof first !== "string") return <ErrorNotice failure={props.failure} onRetry={props.onRetry} />;
	return (
		<Notice
			title={props.title}
			action={
				<a className="button" href={`${first}${props.path}`}>
					{new URL(first).host}
				</a>
			}
		/>
	);
}
