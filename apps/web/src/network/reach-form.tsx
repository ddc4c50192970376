import { CircleCheck, CircleX } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { SelectField } from "../ui/select-field.tsx";
import { type Explanation, explain } from "./network-api.ts";
import { t } from "./text.ts";

export interface Pair {
	readonly from: string;
	readonly to: string;
}

/** "Can A reach B:port?", answered by the coordinator, with the rule that decides. */
export function ReachForm({
	names,
	pair,
	onPair,
}: {
	names: readonly string[];
	pair: Pair;
	onPair: (pair: Pair) => void;
}) {
	const [answer, setAnswer] = useState<Explanation>();
	const submission = useSubmit(async (form) => {
		setAnswer(undefined);
		setAnswer(await explain(pair.from, pair.to, textOf(form, "proto"), textOf(form, "port")));
	});
	const peers = names.map((name) => [name, name] as const);
	const choose = (change: Partial<Pair>) => {
		setAnswer(undefined);
		onPair({ ...pair, ...change });
	};
	return (
		<section className="card padded stack" aria-labelledby="reach-title">
			<h2 id="reach-title">{t.reach.title}</h2>
			<Form
				submission={submission}
				className="reach"
				action={<SubmitButton submission={submission}>{t.reach.ask}</SubmitButton>}
			>
				<SelectField label={t.reach.from} options={peers} value={pair.from} onChoose={(from) => choose({ from })} />
				<SelectField label={t.reach.to} options={peers} value={pair.to} onChoose={(to) => choose({ to })} />
				<SelectField
					label={t.reach.proto}
					name="proto"
					options={[
						["tcp", "TCP"],
						["udp", "UDP"],
						["icmp", "ICMP"],
					]}
					onChoose={() => setAnswer(undefined)}
				/>
				<TextField
					mono
					label={t.reach.port}
					hint={t.reach.portHint}
					name="port"
					type="number"
					inputMode="numeric"
					min={1}
					max={65535}
					onChange={() => setAnswer(undefined)}
				/>
			</Form>
			{answer !== undefined && (
				<div className={answer.allowed ? "notice joined" : "notice warn"} role="status">
					{answer.allowed ? <CircleCheck size={18} aria-hidden="true" /> : <CircleX size={18} aria-hidden="true" />}
					<div className="body">
						<span className="title">{answer.allowed ? t.reach.yes : t.reach.no}</span>
						<span>{answer.reason}</span>
						{!answer.visible && <span className="muted">{t.reach.hidden}</span>}
					</div>
					{answer.rule !== null && (
						<Link className="button" href={`/access?line=${answer.rule.line}`}>
							{t.reach.rule(answer.rule.line)}
						</Link>
					)}
				</div>
			)}
		</section>
	);
}
