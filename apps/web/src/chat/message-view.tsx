import { Copy, RotateCw } from "lucide-react";
import { memo } from "react";
import { copyText } from "../ui/copyable.tsx";
import type { Message } from "./conversation.ts";
import { Markdown } from "./markdown.tsx";
import { t } from "./text.ts";

/** One message. An answer that nobody here is waiting for any more was cut off somewhere else. */
export const MessageView = memo(function MessageView(props: {
	message: Message;
	/** This page is asking for it right now. */
	live: boolean;
	onRetry: (() => void) | undefined;
}) {
	const { message, live } = props;
	if (message.role === "user") {
		return (
			<li className="message user">
				<h2 className="visually-hidden">{t.you}</h2>
				<p className="said">{message.text}</p>
				{message.attachments.length > 0 && (
					<ul className="attachments">
						{message.attachments.map((each, index) => (
							<li key={`${index}-${each.name}`} className="tag">
								{each.name}
							</li>
						))}
					</ul>
				)}
			</li>
		);
	}
	const cut = message.state === "streaming" && !live;
	return (
		<li className="message assistant" aria-busy={live}>
			<h2 className="model small faint clip">{message.model}</h2>
			{message.tools.length > 0 && (
				<ul className="row wrap tools-used" aria-label={t.toolsUsed}>
					{[...new Set(message.tools)].map((tool) => (
						<li key={tool} className="tag">
							{tool}
						</li>
					))}
				</ul>
			)}
			<Markdown text={message.text} />
			{live && message.text === "" && <p className="muted pulse">{t.thinking}</p>}
			{message.state === "stopped" && <p className="small muted">{t.stopped}</p>}
			{cut && <p className="small muted">{t.cut}</p>}
			{message.state === "failed" && (
				<p className="failed" role="alert">
					{message.error}
				</p>
			)}
			{!live && (
				<div className="row message-actions">
					{message.text !== "" && (
						<button
							type="button"
							className="icon-button"
							aria-label={t.copy}
							title={t.copy}
							onClick={() => void copyText(message.text)}
						>
							<Copy size={15} />
						</button>
					)}
					{props.onRetry !== undefined && (
						<button type="button" className="button plain" onClick={props.onRetry}>
							<RotateCw size={15} aria-hidden="true" /> {t.retry}
						</button>
					)}
				</div>
			)}
		</li>
	);
});
