import "@xterm/xterm/css/xterm.css";
import "../styles/terminal.css";
import { useQuery } from "@tanstack/react-query";
import { CircleSlash, Eye } from "lucide-react";
import { useRef, useState } from "react";
import { ApiError } from "../api/exchange.ts";
import { self } from "../api/machine.ts";
import { openSocket } from "../api/socket.ts";
import type { Me } from "../api/types.ts";
import { api } from "../api/warren.tsx";
import { Mark } from "../shell/mark.tsx";
import { ConnectionBanner } from "../terminal/connection-banner.tsx";
import { noModifiers } from "../terminal/keys.ts";
import type { StreamState } from "../terminal/stream.ts";
import { useTerminal } from "../terminal/use-terminal.ts";
import { Confirm } from "../ui/dialog.tsx";
import { ErrorNotice, Notice } from "../ui/states.tsx";
import { momentOf } from "../ui/time.ts";
import { t } from "./text/share.ts";
import { t as terminalText } from "./text/terminal.ts";

/** What a share link opens: one terminal, read-only, and nothing else of this machine. */
export function SharePage({ token }: { token: string | undefined }) {
	const me = useQuery({
		queryKey: [self, "share"],
		queryFn: ({ signal }) => api.request<Me>(self, "/api/me", { signal, authorization: `Bearer ${token}` }),
		enabled: token !== undefined,
	});
	const over = me.error instanceof ApiError && (me.error.status === 401 || me.error.status === 403);
	const share = me.data?.share;
	if (token !== undefined && me.data !== undefined && share !== undefined) {
		return (
			<SharedTerminal
				token={token}
				session={share.session}
				expiresAt={share.expiresAt}
				machineName={me.data.node.name}
			/>
		);
	}
	return (
		<main className="gate">
			<div className="gate-card">
				<div className="gate-head">
					<Mark size={40} />
				</div>
				{token === undefined && <Notice title={t.missing} />}
				{over && (
					<Notice title={t.overTitle}>
						<span className="muted">{t.over}</span>
					</Notice>
				)}
				{me.isError && !over && <ErrorNotice failure={me.error} onRetry={() => void me.refetch()} />}
				{me.isLoading && <p className="muted">{t.loading}</p>}
			</div>
		</main>
	);
}

function SharedTerminal(props: { token: string; session: string; expiresAt: number; machineName: string }) {
	const host = useRef<HTMLDivElement>(null);
	const modifiers = useRef(noModifiers);
	const [link, setLink] = useState<string>();
	const { state, ...view } = useTerminal({
		host,
		open: () => openSocket(api, self, `/ws/${encodeURIComponent(props.session)}`, props.token),
		mode: "read-only",
		modifiers,
		onModifiersUsed: () => undefined,
		onScrollBack: () => undefined,
		atShell: () => false,
		onTap: () => undefined,
		onLink: setLink,
	});
	return (
		<main className="terminal-page shared" style={{ background: view.theme.background }}>
			<header className="terminal-bar">
				<span className="accent brand-mark">
					<Mark size={20} />
				</span>
				<h1 className="terminal-title">
					<span className="name clip">{props.machineName}</span>
					<span className="where clip">{t.until(momentOf(props.expiresAt))}</span>
				</h1>
				<span className="grow" />
				<span className="tag">
					<Eye size={13} aria-hidden="true" /> {t.readOnly}
				</span>
			</header>
			{isOver(state) ? (
				<p className="banner" role="alert">
					<CircleSlash size={17} aria-hidden="true" />
					<span className="grow">
						<strong>{t.overTitle}.</strong> <span className="muted">{t.over}</span>
					</span>
				</p>
			) : (
				<ConnectionBanner state={state} name={props.machineName} onRetry={view.controls.retry} />
			)}
			<div className="terminal-stage" data-phase={state.phase} data-mode="read-only">
				<div className="terminal-host" ref={host} />
			</div>
			<Confirm
				open={link !== undefined}
				onClose={() => setLink(undefined)}
				title={terminalText.linkTitle}
				action={terminalText.linkOpen}
				onConfirm={async () => void window.open(link, "_blank", "noopener,noreferrer")}
			>
				{terminalText.linkLead} <code className="link-shown">{link}</code>
			</Confirm>
		</main>
	);
}

/** Revoked, or its time ran out, while it was being looked at. */
function isOver(state: StreamState): boolean {
	return state.phase === "stopped" && state.reason.kind === "refused" && overCodes.includes(state.reason.code);
}

/** Close codes: the credential does not hold, or does so no more. */
const overCodes: readonly number[] = [4401, 4408];
