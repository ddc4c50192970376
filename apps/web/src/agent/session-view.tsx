import { useQuery } from "@tanstack/react-query";
import { ArrowLeft, Check, CircleAlert, LoaderCircle } from "lucide-react";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { ApiError } from "../api/exchange.ts";
import { self } from "../api/machine.ts";
import { Composer } from "../chat/composer.tsx";
import { Markdown } from "../chat/markdown.tsx";
import { useFollowed } from "../chat/use-followed.ts";
import { useBusy } from "../ui/action-button.tsx";
import { ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { toastError } from "../ui/toast.tsx";
import {
	type AgentMessage,
	type AgentPart,
	type AgentPermission,
	type AgentSession,
	type AgentStatus,
	askAgent,
	inFolder,
	titleOf,
} from "./agent-api.ts";
import { t } from "./text.ts";
import { useEvents } from "./use-events.ts";

/** One session, by its address alone: whatever its folder is. */
export function SessionPage({ id, agent }: { id: string; agent: AgentStatus }) {
	const session = useQuery({
		queryKey: [self, "agent-session", id],
		queryFn: ({ signal }) => askAgent<AgentSession>(`/opencode/session/${encodeURIComponent(id)}`, { signal }),
	});
	if (session.data !== undefined)
		return <SessionView session={session.data} agent={agent} onChange={() => void session.refetch()} />;
	return (
		<div className="page">
			<SessionHead title="" />
			{session.error === null ? (
				<Skeletons count={4} height={40} label={t.loading} />
			) : session.error instanceof ApiError && session.error.status === 404 ? (
				<Notice title={t.gone} />
			) : (
				<ErrorNotice failure={session.error} onRetry={() => void session.refetch()} />
			)}
		</div>
	);
}

function SessionHead({ title, folder }: { title: string; folder?: string }) {
	return (
		<header className="doc-head">
			<Link className="icon-button" href="/agent" aria-label={t.back}>
				<ArrowLeft size={18} />
			</Link>
			<div className="grow agent-head">
				<h1 className="clip">{title}</h1>
				{folder !== undefined && <p className="small faint mono clip">{folder}</p>}
			</div>
		</header>
	);
}

/** What was asked, what it did, what it wants to be allowed. @param onChange its title may have changed. */
function SessionView(props: { session: AgentSession; agent: AgentStatus; onChange: () => void }) {
	const { session, agent } = props;
	const { id, directory: folder } = session;
	const offered = (agent.providers ?? []).flatMap((provider) =>
		provider.models.map((model) => `${provider.id}/${model}`),
	);
	const [chosen, setChosen] = useState<string>();
	const messages = useQuery({
		queryKey: [self, "agent-messages", id],
		queryFn: ({ signal }) => askAgent<AgentMessage[]>(inFolder(`session/${id}/message`, folder), { signal }),
	});
	const state = useQuery({
		queryKey: [self, "agent-states", folder],
		queryFn: ({ signal }) => askAgent<Record<string, { type: string }>>(inFolder("session/status", folder), { signal }),
	});
	const asked = useQuery({
		queryKey: [self, "agent-permissions", folder],
		queryFn: ({ signal }) => askAgent<AgentPermission[]>(inFolder("permission", folder), { signal }),
	});
	const refresh = () => {
		void Promise.all([messages.refetch(), state.refetch(), asked.refetch()]);
		props.onChange();
	};
	useEvents(folder, refresh);
	const busy = (state.data?.[id]?.type ?? "idle") !== "idle";

	const list = useFollowed(messages.data);
	const last = messages.data?.findLast(({ info }) => info.modelID !== undefined)?.info;
	const model = chosen ?? (last === undefined ? (offered[0] ?? "") : `${last.providerID}/${last.modelID}`);
	const title = titleOf(session);
	useEffect(() => {
		window.document.title = `${title} · Warren`;
		return () => {
			window.document.title = "Warren";
		};
	}, [title]);

	const [asking, work] = useBusy();
	async function act(what: string, path: string, body: unknown): Promise<boolean> {
		try {
			await askAgent(inFolder(path, folder), { method: "POST", body });
			refresh();
			return true;
		} catch (failure) {
			toastError(what, failure);
			return false;
		}
	}

	async function send(text: string): Promise<boolean> {
		const slash = model.indexOf("/");
		const body = {
			model: { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) },
			parts: [{ type: "text", text }],
		};
		let taken = false;
		await work(async () => (taken = await act(t.send, `session/${id}/prompt_async`, body)));
		return taken;
	}

	return (
		<div className="page chat-page">
			<SessionHead title={title} folder={folder} />
			{messages.error !== null && <ErrorNotice failure={messages.error} onRetry={refresh} />}
			{messages.isPending && messages.error === null && <Skeletons count={4} height={40} label={t.loading} />}
			<ol className="messages" ref={list} aria-label={title} aria-live="polite">
				{messages.data?.length === 0 && <li className="muted">{t.prompt}</li>}
				{messages.data?.map((each) => (
					<MessageItem key={each.info.id} message={each} />
				))}
			</ol>
			<div className="chat-foot">
				{asked.data
					?.filter((each) => each.sessionID === id)
					.map((each) => (
						<Notice key={each.id} tone="warn" title={t.asks(each.permission)}>
							<span className="muted mono clip">{each.patterns?.join(", ")}</span>
							<span className="row wrap">
								{(["once", "always", "reject"] as const).map((reply) => (
									<button
										key={reply}
										type="button"
										className="button"
										disabled={asking}
										aria-busy={asking}
										onClick={() => void work(() => act(t[reply], `permission/${each.id}/reply`, { reply }))}
									>
										{t[reply]}
									</button>
								))}
							</span>
						</Notice>
					))}
				<input
					className="input mono"
					aria-label={t.model}
					placeholder={t.model}
					list="agent-models"
					value={model}
					autoComplete="off"
					spellCheck={false}
					onChange={(event) => setChosen(event.target.value.trim())}
				/>
				<datalist id="agent-models">
					{offered.map((each) => (
						<option key={each} value={each} />
					))}
				</datalist>
				<Composer
					busy={busy}
					sending={asking}
					disabled={!model.includes("/")}
					textOnly
					onSend={send}
					onStop={() => void act(t.abort, `session/${id}/abort`, {})}
				/>
			</div>
		</div>
	);
}

function MessageItem({ message: { info, parts } }: { message: AgentMessage }) {
	const text = parts.filter((each) => each.type === "text").map((each) => each.text ?? "");
	if (info.role === "user")
		return (
			<li className="message user">
				<p className="said">{text.join("\n")}</p>
			</li>
		);
	return (
		<li className="message assistant">
			<h2 className="model small faint clip">{info.modelID ?? t.title}</h2>
			{parts.map((part) => (
				<PartView key={part.id} part={part} />
			))}
			{info.error !== undefined && (
				<p className="failed" role="alert">
					{info.error.data?.message ?? info.error.name ?? t.failed}
				</p>
			)}
		</li>
	);
}

function PartView({ part }: { part: AgentPart }) {
	if (part.type === "text") return <Markdown text={part.text ?? ""} />;
	if (part.type !== "tool") return null;
	const status = part.state?.status ?? "pending";
	const Icon = status === "completed" ? Check : status === "error" ? CircleAlert : LoaderCircle;
	return (
		<details className="agent-tool">
			<summary className="row">
				<Icon size={15} aria-hidden="true" />
				<span className="mono clip">{part.tool}</span>
				<span className="muted clip grow">{part.state?.title}</span>
			</summary>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be reached by keys */}
			<pre tabIndex={0}>{part.state?.error ?? part.state?.output ?? ""}</pre>
		</details>
	);
}
