import { Eye, Pencil, Plus, SquareTerminal, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { type MachineId, terminalPath, terminalsPath } from "../api/machine.ts";
import type { Session } from "../api/types.ts";
import { api, queryClient, useMachineName, useSessions } from "../api/warren.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { Empty, Notice, Skeletons } from "../ui/states.tsx";
import { agoOf } from "../ui/time.ts";
import { HostChip } from "./host-chip.tsx";
import { MachineError } from "./machine-error.tsx";
import { NewSession, RenameSession } from "./session-dialogs.tsx";
import { t } from "./text/terminals.ts";
import { ResumeWelcome } from "./welcome/resume.tsx";

/** The sessions of one machine. */
export function TerminalsPage({ machine }: { machine: MachineId }) {
	const [, navigate] = useLocation();
	const search = useSearch();
	const creating = new URLSearchParams(search).has("new");
	const name = useMachineName(machine);
	const { data, error, isPending, dataUpdatedAt, refetch } = useSessions(machine);
	const here = terminalsPath(machine);

	return (
		<div className="page">
			<header className="page-head">
				<h1 className="visually-hidden">{t.title}</h1>
				<HostChip machine={machine} />
				<div className="actions">
					<button type="button" className="button primary" onClick={() => navigate(`${here}?new`)}>
						<Plus size={16} aria-hidden="true" /> {t.newSession}
					</button>
				</div>
			</header>
			<ResumeWelcome machine={machine} />
			{error !== null && (
				<MachineError machine={machine} failure={error} dataAt={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{data?.condition !== undefined && (
				<Notice tone="warn" title={data.condition.title}>
					<span>{data.condition.advice}</span>
				</Notice>
			)}
			{isPending && error === null && <Skeletons count={3} height={116} label={t.loading} />}
			{data?.sessions.length === 0 && data.condition === undefined && (
				<Empty
					icon={<SquareTerminal size={28} aria-hidden="true" />}
					action={
						<button type="button" className="button" onClick={() => navigate(`${here}?new`)}>
							<Plus size={16} aria-hidden="true" /> {t.newSession}
						</button>
					}
				>
					{t.empty(name)}
				</Empty>
			)}
			{data !== undefined && data.sessions.length > 0 && (
				<ul className={error === null ? "sessions" : "sessions stale"}>
					{data.sessions.map((session) => (
						<SessionCard key={session.id} machine={machine} session={session} />
					))}
				</ul>
			)}
			<NewSession open={creating} machine={machine} onClose={() => navigate(here, { replace: true })} />
		</div>
	);
}

function SessionCard({ machine, session }: { machine: MachineId; session: Session }) {
	const [dialog, setDialog] = useState<"rename" | "kill">();
	const machineName = useMachineName(machine);
	return (
		<li className="card session">
			<div className="session-head">
				<Link href={terminalPath(machine, session.id)} className="session-link">
					<h2 className="clip">{session.name}</h2>
				</Link>
				{session.bell && <span className="tag live">{t.bell}</span>}
				{!session.own && <span className="tag">{t.foreign(session.socket)}</span>}
				<Menu label={t.actions(session.name)}>
					<MenuItem icon={<Pencil size={16} />} onSelect={() => setDialog("rename")}>
						{t.rename}
					</MenuItem>
					<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setDialog("kill")}>
						{t.kill}
					</MenuItem>
				</Menu>
			</div>
			<p className="session-line mono">
				<span className="prompt">{session.command}</span>
				<span className="clip">{session.lastLine}</span>
			</p>
			<p className="session-facts">
				<span>{t.active(agoOf(session.activityUnix * 1000))}</span>
				<span>{t.windows(session.windows)}</span>
				{session.viewers > 0 && (
					<span className="row">
						<Eye size={13} aria-hidden="true" />
						{t.viewers(session.viewers)}
					</span>
				)}
			</p>
			<RenameSession
				open={dialog === "rename"}
				machine={machine}
				session={session}
				onClose={() => setDialog(undefined)}
			/>
			<Confirm
				open={dialog === "kill"}
				onClose={() => setDialog(undefined)}
				title={t.killTitle(session.name)}
				action={t.kill}
				onConfirm={async () => {
					await api.request(machine, `/api/sessions/${encodeURIComponent(session.id)}`, { method: "DELETE" });
					await queryClient.invalidateQueries({ queryKey: [machine, "sessions"] });
				}}
			>
				{t.killBody(session.name, session.command, machineName)}
			</Confirm>
		</li>
	);
}
