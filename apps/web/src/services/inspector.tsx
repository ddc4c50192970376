import { RotateCcw } from "lucide-react";
import { useState } from "react";
import { ErrorNotice } from "../ui/states.tsx";
import { agoOf, bytesOf, millisecondsOf, momentOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { changeService, type Exchange, replay, type Service, useExchanges } from "./services-api.ts";
import { t } from "./text.ts";

/** What came to a service lately, and again on demand. */
export function Inspector({ service }: { service: Service }) {
	const name = service.service;
	const on = service.settings.inspect === true;
	return (
		<section className="stack tight" aria-labelledby="inspector-title">
			<h2 id="inspector-title">{t.inspector}</h2>
			<div className="card">
				<label className="setting-line">
					<span className="grow">
						<span>{t.inspect}</span>
						<span className="small muted block">{t.inspectHint}</span>
					</span>
					<input
						type="checkbox"
						className="check"
						checked={on}
						onChange={(event) =>
							void changeService(name, { settings: { inspect: event.target.checked } }).catch((failure) =>
								toastError(name, failure),
							)
						}
					/>
				</label>
			</div>
			{on && <Exchanges service={name} />}
		</section>
	);
}

function Exchanges({ service }: { service: string }) {
	const { data, error, refetch } = useExchanges(service);
	if (error !== null) return <ErrorNotice failure={error} onRetry={() => void refetch()} />;
	if (data?.length === 0) return <p className="muted">{t.inspectEmpty}</p>;
	return (
		<ul className="card exchanges">
			{data?.map((each) => (
				<li key={each.id}>
					<ExchangeRow service={service} exchange={each} />
				</li>
			))}
		</ul>
	);
}

function ExchangeRow({ service, exchange }: { service: string; exchange: Exchange }) {
	const [answer, setAnswer] = useState<{ status: number; body: string }>();
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function again() {
		setBusy(true);
		setFailure(undefined);
		try {
			setAnswer(await replay(service, exchange.id));
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}
	return (
		<details>
			<summary>
				<span className={exchange.status >= 500 ? "tag danger" : exchange.status >= 400 ? "tag warn" : "tag"}>
					{exchange.status}
				</span>
				<span className="mono clip grow">
					{exchange.method} {exchange.target}
				</span>
				<span className="small muted nowrap">{millisecondsOf(exchange.durationMs)}</span>
				<span className="small muted nowrap" title={momentOf(exchange.at)}>
					{agoOf(exchange.at)}
				</span>
			</summary>
			<div className="stack tight exchange">
				<p className="small muted">
					{exchange.principal ?? t.anonymous}, {exchange.address}, {bytesOf(exchange.request_bytes)} /{" "}
					{bytesOf(exchange.answer_bytes)}
				</p>
				<dl className="mono small headers">
					{exchange.headers.map(([header, value], index) => (
						// biome-ignore lint/suspicious/noArrayIndexKey: a header may come twice
						<div key={index}>
							<dt>{header}</dt>
							<dd>{value}</dd>
						</div>
					))}
				</dl>
				{exchange.replayable && (
					<div className="row wrap">
						<button type="button" className="button" disabled={busy} aria-busy={busy} onClick={() => void again()}>
							<RotateCcw size={15} aria-hidden="true" /> {t.replay}
						</button>
						<span className="small muted">{t.replayNote}</span>
					</div>
				)}
				{failure !== undefined && <ErrorNotice failure={failure} />}
				{answer !== undefined && (
					<div role="status" className="stack tight">
						<p>{t.replayed(answer.status)}</p>
						{answer.body !== "" && (
							// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
							<pre className="mono small" tabIndex={0} role="region" aria-label={t.replayed(answer.status)}>
								{answer.body}
							</pre>
						)}
					</div>
				)}
			</div>
		</details>
	);
}
