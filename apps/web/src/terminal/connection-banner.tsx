import { CircleSlash, Unplug } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { Link } from "wouter";
import { t } from "../pages/text/terminal.ts";
import type { StreamState } from "./stream.ts";

interface Props {
	state: StreamState;
	name: string;
	onRetry: () => void;
	/** Opens the same terminal anew, after it stopped for good. */
	onReopen?: () => void;
	/** Where to go when nothing is to be done here. */
	home?: string;
}

/** Says when the terminal in sight is not live, why, and what one can do. Nothing while it is. */
export function ConnectionBanner({ state, name, onRetry, onReopen, home }: Props) {
	switch (state.phase) {
		case "live":
			return null;
		case "connecting":
			return (
				<p className="banner quiet" role="status">
					{t.connectingTo(name)}
				</p>
			);
		case "waiting":
			return (
				<div className="banner" role="status">
					<Unplug size={17} aria-hidden="true" />
					<span className="grow">
						<strong>{t.lostTitle}.</strong> <Countdown until={state.retryAt} />{" "}
						<span className="muted">{state.message || t.lostHint}</span>
					</span>
					<button type="button" className="button" onClick={onRetry}>
						{t.tryNow}
					</button>
				</div>
			);
		case "stopped": {
			const { title, detail } = stoppedWords(state);
			return (
				<div className="banner" role="alert">
					<CircleSlash size={17} aria-hidden="true" />
					<span className="grow">
						<strong>{title}.</strong> <span className="muted">{detail}</span>
					</span>
					{onReopen !== undefined && (
						<button type="button" className="button" onClick={onReopen}>
							{t.reopen}
						</button>
					)}
					{home !== undefined && (
						<Link className="button" href={home}>
							{t.toSessions}
						</Link>
					)}
				</div>
			);
		}
	}
}

function stoppedWords({ reason }: Extract<StreamState, { phase: "stopped" }>): { title: string; detail: ReactNode } {
	if (reason.kind === "exit") {
		return { title: reason.reason === "detached" ? t.detachedTitle : t.endedTitle, detail: "" };
	}
	if (reason.kind === "closed") return { title: t.detachedTitle, detail: "" };
	switch (reason.code) {
		case 4403:
			return { title: t.forbiddenTitle, detail: reason.message };
		case 4404:
			return { title: t.unknownTitle, detail: t.unknown };
		case 4409:
			return { title: t.replacedTitle, detail: t.replaced };
		default:
			return { title: t.badTitle, detail: reason.message };
	}
}

function Countdown({ until }: { until: number }) {
	const [left, setLeft] = useState(() => until - performance.now());
	useEffect(() => {
		const timer = setInterval(() => setLeft(until - performance.now()), 250);
		return () => clearInterval(timer);
	}, [until]);
	return <span className="countdown">{t.lost(Math.ceil(left / 1000))}</span>;
}
