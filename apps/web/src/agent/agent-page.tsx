import "../styles/documents.css";
import "../chat/chat.css";
import "./agent.css";
import { Bot, Play, Square } from "lucide-react";
import { useState } from "react";
import { self } from "../api/machine.ts";
import { queryClient, useMachineName } from "../api/warren.tsx";
import { Empty, ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { toastError } from "../ui/toast.tsx";
import { type AgentStatus, askAgent, useAgent } from "./agent-api.ts";
import { SessionList } from "./session-list.tsx";
import { SessionPage } from "./session-view.tsx";
import { t } from "./text.ts";

/** The coding agent of the machine that served this page. @param session which of its sessions is open. */
export function AgentPage({ session }: { session?: string }) {
	const { data, error, isPending, refetch } = useAgent();
	const name = useMachineName(self);
	const [busy, setBusy] = useState(false);

	async function turn(to: "start" | "stop") {
		setBusy(true);
		try {
			queryClient.setQueryData<AgentStatus>(
				[self, "agent"],
				await askAgent<AgentStatus>(`/${to}`, { method: "POST", body: {} }),
			);
		} catch (failure) {
			toastError(to === "start" ? t.start : t.stop, failure);
		} finally {
			setBusy(false);
		}
	}

	const off = data === undefined || data.state === "off" || data.state === "stopped";
	if (session !== undefined && data?.state === "running")
		return <SessionPage key={session} id={session} agent={data} />;
	const startButton = (
		<button
			type="button"
			className="button primary"
			disabled={busy}
			aria-busy={busy}
			onClick={() => void turn("start")}
		>
			<Play size={15} aria-hidden="true" /> {t.start}
		</button>
	);
	return (
		<div className="page">
			<header className="page-head">
				<h1>{t.title}</h1>
				{data !== undefined && <span className="tag">{t.states[data.state] ?? data.state}</span>}
				<div className="actions">
					{!off && (
						<button type="button" className="button" disabled={busy} aria-busy={busy} onClick={() => void turn("stop")}>
							<Square size={14} aria-hidden="true" /> {t.stop}
						</button>
					)}
				</div>
			</header>
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{isPending && error === null && <Skeletons count={2} height={64} label={t.title} />}
			{data?.sessionEnded === true && <Notice tone="warn" title={t.sessionEnded} />}
			{data?.state === "waiting" && (
				<Notice tone="warn" title={t.states["waiting"] ?? ""}>
					<span className="muted">{data.reason}</span>
				</Notice>
			)}
			{data?.state === "running" && data.providers?.length === 0 && <Notice tone="warn" title={t.noProviders} />}
			{data?.toolsChanged === true && <Notice title={t.toolsChanged} />}
			{data !== undefined && off && (
				<Empty icon={<Bot size={28} aria-hidden="true" />} action={startButton}>
					{t.lead(name)}
				</Empty>
			)}
			{data?.state === "starting" && <Skeletons count={2} height={64} label={t.states["starting"] ?? ""} />}
			{data?.state === "running" && <SessionList home={data.folder ?? "/"} />}
		</div>
	);
}
