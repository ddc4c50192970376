import { CircleAlert, CircleSlash2, RotateCw, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { describe } from "./describe.ts";
import { t } from "./text.ts";
import { agoOf } from "./time.ts";

/** A failure where its content would have stood: what happened, what to do, the code to search for. */
export function ErrorNotice({ failure, title, onRetry }: { failure: unknown; title?: string; onRetry?: () => void }) {
	const { message, fix, code } = describe(failure);
	return (
		<div className="notice error" role="alert">
			<CircleAlert size={18} aria-hidden="true" />
			<div className="body">
				{title !== undefined && <span className="title">{title}</span>}
				<span>{message}</span>
				{fix !== "" && <span className="muted">{fix}</span>}
				{code !== "" && <span className="code mono">{code}</span>}
			</div>
			{onRetry !== undefined && (
				<button type="button" className="button" onClick={onRetry}>
					<RotateCw size={15} aria-hidden="true" /> {t.tryAgain}
				</button>
			)}
		</div>
	);
}

export function Notice(props: {
	tone?: "plain" | "warn" | "error";
	title: string;
	children?: ReactNode;
	action?: ReactNode;
}) {
	const Icon = props.tone === "error" ? CircleAlert : props.tone === "warn" ? TriangleAlert : CircleSlash2;
	return (
		<div className={`notice ${props.tone ?? "plain"}`} role="status">
			<Icon size={18} aria-hidden="true" />
			<div className="body">
				<span className="title">{props.title}</span>
				{props.children}
			</div>
			{props.action}
		</div>
	);
}

/** The last known state, with its age, when a fresh one cannot be had. */
export function StaleNotice({ failure, at, onRetry }: { failure: unknown; at: number; onRetry: () => void }) {
	const { message, fix } = describe(failure);
	return (
		<Notice
			tone="warn"
			title={t.staleTitle(agoOf(at))}
			action={
				<button type="button" className="button" onClick={onRetry}>
					{t.tryAgain}
				</button>
			}
		>
			<span className="muted">
				{message} {fix}
			</span>
		</Notice>
	);
}

export function Empty({ icon, children, action }: { icon?: ReactNode; children: ReactNode; action?: ReactNode }) {
	return (
		<div className="empty">
			{icon}
			<p>{children}</p>
			{action}
		</div>
	);
}

/** Bars in the place of what is coming; the first paint is never blank and never jumps. */
export function Skeletons({ count, height, label }: { count: number; height: number; label: string }) {
	return (
		<div className="stack" role="status" aria-label={label}>
			{Array.from({ length: count }, (_, index) => (
				// biome-ignore lint/suspicious/noArrayIndexKey: placeholders have no identity
				<span key={index} className="skeleton" style={{ height }} />
			))}
		</div>
	);
}
