import { useQuery } from "@tanstack/react-query";
import { Plus, SquareTerminal, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { self } from "../api/machine.ts";
import { queryClient } from "../api/warren.tsx";
import { useBusy } from "../ui/action-button.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { ErrorNotice, Skeletons } from "../ui/states.tsx";
import { agoOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { type AgentSession, askAgent, inFolder, sessionPath, titleOf } from "./agent-api.ts";
import { t } from "./text.ts";

const listKey = [self, "agent-sessions"];
/** The newest of them; nobody goes through more. */
const maxSessions = 100;

/** The sessions of all folders, and the way to a new one. @param home where one begins that names no other. */
export function SessionList({ home }: { home: string }) {
	const [, navigate] = useLocation();
	const [folder, setFolder] = useState(home);
	const [leaving, setLeaving] = useState<AgentSession>();
	const { data, error, isPending, refetch } = useQuery({
		queryKey: listKey,
		queryFn: ({ signal }) =>
			askAgent<AgentSession[]>(`/opencode/experimental/session?roots=true&limit=${maxSessions}`, { signal }),
	});

	const [busy, work] = useBusy();
	async function create() {
		try {
			const made = await askAgent<AgentSession>(inFolder("session", folder), { method: "POST", body: {} });
			navigate(sessionPath(made.id));
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
								list="agent-folders"
								autoCapitalize="none"
								autoComplete="off"
								spellCheck={false}
								onChange={(event) => setFolder(event.target.value)}
							/>
						)}
					</Field>
					<datalist id="agent-folders">
						{[...new Set([home, ...(data ?? []).map((each) => each.directory)])].map((each) => (
							<option key={each} value={each} />
						))}
					</datalist>
				</div>
				<button type="submit" className="button primary" disabled={busy} aria-busy={busy}>
					<Plus size={16} aria-hidden="true" /> {t.newSession}
				</button>
			</form>
			{isPending && error === null && <Skeletons count={2} height={64} label={t.sessions} />}
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{data?.length === 0 && <p className="muted">{t.none}</p>}
			{data !== undefined && data.length > 0 && (
				<ul className="card docs-list">
					{data.map((each) => (
						<li key={each.id} className="doc-row">
							<SquareTerminal size={18} aria-hidden="true" />
							<div className="grow">
								<Link className="doc-link" href={sessionPath(each.id)}>
									<h2 className="clip">{titleOf(each)}</h2>
								</Link>
								<p className="small faint row">
									<span className="mono clip">{each.directory}</span>
									<span className="agent-when">{agoOf(each.time.updated)}</span>
								</p>
							</div>
							<button
								type="button"
								className="icon-button"
								aria-label={t.deleteNamed(titleOf(each))}
								onClick={() => setLeaving(each)}
							>
								<Trash2 size={16} />
							</button>
						</li>
					))}
				</ul>
			)}
			<Confirm
				open={leaving !== undefined}
				onClose={() => setLeaving(undefined)}
				title={t.deleteNamed(leaving === undefined ? "" : titleOf(leaving))}
				action={t.delete}
				onConfirm={async () => {
					if (leaving === undefined) return;
					await askAgent(inFolder(`session/${leaving.id}`, leaving.directory), { method: "DELETE" });
					await queryClient.invalidateQueries({ queryKey: listKey });
				}}
			>
				{t.deleteBody}
			</Confirm>
		</section>
	);
}
