import { useQuery } from "@tanstack/react-query";
import { Plus, SquareTerminal } from "lucide-react";
import { useState } from "react";
import { self } from "../api/machine.ts";
import { useBusy } from "../ui/action-button.tsx";
import { Field } from "../ui/field.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { agoOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { type AgentSession, askAgent, inFolder } from "./agent-api.ts";
import { t } from "./text.ts";

/** Sessions in one folder, and the way to a new one. */
export function SessionList({ home, onOpen }: { home: string; onOpen: (id: string, folder: string) => void }) {
	const [folder, setFolder] = useState(home);
	const { data, error, refetch } = useQuery({
		queryKey: [self, "agent-sessions", folder],
		queryFn: ({ signal }) => askAgent<AgentSession[]>(inFolder("session", folder), { signal }),
	});

	const [busy, work] = useBusy();
	async function create() {
		try {
			const made = await askAgent<AgentSession>(inFolder("session", folder), { method: "POST", body: {} });
			onOpen(made.id, folder);
		} catch (failure) {
			toastError(t.newSession, failure);
		}
	}

	return (
		<section className="section" aria-label={t.sessions}>
			<form
				className="row agent-folder"
				onSubmit={(event) => {
					event.preventDefault();
					void work(create);
				}}
			>
				<div className="grow">
					<Field label={t.folder}>
						{(ids) => (
							<input
								{...ids}
								className="input mono"
								value={folder}
								autoCapitalize="none"
								autoComplete="off"
								spellCheck={false}
								onChange={(event) => setFolder(event.target.value)}
							/>
						)}
					</Field>
				</div>
				<button type="submit" className="button primary" disabled={busy} aria-busy={busy}>
					<Plus size={16} aria-hidden="true" /> {t.newSession}
				</button>
			</form>
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{data?.length === 0 && <p className="muted">{t.none}</p>}
			{data !== undefined && data.length > 0 && (
				<ul className="card docs-list">
					{data.map((each) => (
						<li key={each.id} className="doc-row">
							<SquareTerminal size={18} aria-hidden="true" />
							<div className="grow">
								<button type="button" className="link agent-session" onClick={() => onOpen(each.id, folder)}>
									{each.title === "" ? t.untitled : each.title}
								</button>
								<p className="small faint">{agoOf(each.time.updated)}</p>
							</div>
						</li>
					))}
				</ul>
			)}
		</section>
	);
}
