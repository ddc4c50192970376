import { useQuery } from "@tanstack/react-query";
import { ArrowLeft, Check, CircleAlert, LoaderCircle } from "lucide-react";
import { useState } from "react";
import { self } from "../api/machine.ts";
import { Composer } from "../chat/composer.tsx";
import { Markdown } from "../chat/markdown.tsx";
import { useBusy } from "../ui/action-button.tsx";
import { ErrorNotice, Notice } from "../ui/states.tsx";
import { toastError } from "../ui/toast.tsx";
import {
	type AgentMessage,
	type AgentPart,
	type AgentPermission,
	type AgentStatus,
	askAgent,
	inFolder,
} from "./agent-api.ts";
import { t } from "./text.ts";
import { useEvents } from "./use-events.ts";

/** One session: what was asked, what it did, what it wants to be allowed. */
export function SessionView(props: { id: string; folder: string; agent: AgentStatus; onBack: () => void }) {
	const { id, folder, agent } = props;
	const models = (agent.providers ?? []).flatMap((provider) =>
		provider.models.map((model) => `${provider.id}/${model}`),
	);
	const [model, setModel] = useState(models[0] ?? "");
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
	const refresh = () => void Promise.all([messages.refetch(), state.refetch(), asked.refetch()]);
	useEvents(folder, refresh);
	const busy = (state.data?.[id]?.type ?? "idle") !== "idle";

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
			<header className="doc-head">
				<button type="button" className="icon-button" aria-label={t.back} onClick={props.onBack}>
					<ArrowLeft size={18} />
				</button>
				<h1 className="clip grow mono">{folder}</h1>
			</header>
			<ol className="messages" aria-label={t.sessions} aria-live="polite">
				{messages.error !== null && <ErrorNotice failure={messages.error} onRetry={refresh} />}
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
					onChange={(event) => setModel(event.target.value.trim())}
				/>
				<datalist id="agent-models">
					{models.map((each) => (
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
