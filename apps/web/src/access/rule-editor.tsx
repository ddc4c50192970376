import { ArrowDown, ArrowUp, Plus, X } from "lucide-react";
import type { ReactNode } from "react";
import { Field } from "../ui/field.tsx";
import { exactInput } from "../ui/form.tsx";
import { SelectField } from "../ui/select-field.tsx";
import { emptyRule, emptyTest, type PolicyDraft, type RuleFields, type TestFields, tagsIn } from "./policy-text.ts";
import { t } from "./text.ts";

/** The policy as rules and tests to fill in. What it is given back is the whole draft. */
export function RuleEditor({ draft, onChange }: { draft: PolicyDraft; onChange: (draft: PolicyDraft) => void }) {
	const { rules, tests } = draft;
	const setRule = (at: number, change: Partial<RuleFields>) =>
		onChange({ ...draft, rules: rules.map((rule, index) => (index === at ? { ...rule, ...change } : rule)) });
	const setTest = (at: number, change: Partial<TestFields>) =>
		onChange({ ...draft, tests: tests.map((test, index) => (index === at ? { ...test, ...change } : test)) });
	const move = (from: number, to: number) => {
		const moved = [...rules];
		moved.splice(to, 0, ...moved.splice(from, 1));
		onChange({ ...draft, rules: moved });
	};
	return (
		<>
			<datalist id="policy-tags">
				{tagsIn(draft).map((tag) => (
					<option key={tag} value={tag} />
				))}
			</datalist>
			<section className="stack tight" aria-labelledby="rules-title">
				<h2 id="rules-title">{t.rules.title}</h2>
				{rules.length === 0 && <p className="muted">{t.rules.empty}</p>}
				<ol className="stack tight">
					{rules.map((rule, index) => (
						<Rule
							// biome-ignore lint/suspicious/noArrayIndexKey: a rule is its place
							key={index}
							rule={rule}
							number={index + 1}
							last={index === rules.length - 1}
							onChange={(change) => setRule(index, change)}
							onMove={(by) => move(index, index + by)}
							onRemove={() => onChange({ ...draft, rules: rules.filter((_, at) => at !== index) })}
						/>
					))}
				</ol>
				<button
					type="button"
					className="button add"
					onClick={() => onChange({ ...draft, rules: [...rules, emptyRule] })}
				>
					<Plus size={16} aria-hidden="true" /> {t.rules.add}
				</button>
			</section>
			<section className="stack tight" aria-labelledby="tests-title">
				<h2 id="tests-title">{t.tests.title}</h2>
				<p className="muted small">{t.tests.lead}</p>
				<ol className="stack tight">
					{tests.map((test, index) => (
						<Test
							// biome-ignore lint/suspicious/noArrayIndexKey: a test is its place
							key={index}
							test={test}
							number={index + 1}
							onChange={(change) => setTest(index, change)}
							onRemove={() => onChange({ ...draft, tests: tests.filter((_, at) => at !== index) })}
						/>
					))}
				</ol>
				<button
					type="button"
					className="button add"
					onClick={() => onChange({ ...draft, tests: [...tests, emptyTest] })}
				>
					<Plus size={16} aria-hidden="true" /> {t.tests.add}
				</button>
			</section>
		</>
	);
}

function Rule(props: {
	rule: RuleFields;
	number: number;
	last: boolean;
	onChange: (change: Partial<RuleFields>) => void;
	onMove: (by: -1 | 1) => void;
	onRemove: () => void;
}) {
	const { rule, number, onChange } = props;
	return (
		<li className="card rule" data-action={rule.action}>
			<fieldset>
				<legend>{t.rules.rule(number)}</legend>
				<div className="rule-fields">
					<SelectField
						label={t.rules.action}
						value={rule.action}
						options={[
							["accept", t.rules.accept],
							["deny", t.rules.deny],
						]}
						onChoose={(action) => onChange({ action })}
					/>
					<Words
						label={t.rules.from}
						hint={t.rules.tagsHint}
						tags
						value={rule.src}
						onChange={(src) => onChange({ src })}
					/>
					<Words
						label={t.rules.to}
						hint={t.rules.tagsHint}
						tags
						value={rule.dst}
						onChange={(dst) => onChange({ dst })}
					/>
					<SelectField
						label={t.rules.proto}
						value={rule.proto}
						options={[
							["", t.rules.any],
							["tcp", "TCP"],
							["udp", "UDP"],
							["icmp", "ICMP"],
						]}
						onChoose={(proto) => onChange({ proto })}
					/>
					<Words
						label={t.rules.ports}
						hint={t.rules.portsHint}
						value={rule.ports}
						onChange={(ports) => onChange({ ports })}
					/>
					<SelectField
						label={t.rules.direction}
						value={rule.direction}
						options={[
							["", t.rules.byKind],
							["both", t.rules.both],
							["forward", t.rules.forward],
						]}
						onChoose={(direction) => onChange({ direction })}
					/>
				</div>
			</fieldset>
			<div className="rule-actions">
				<IconButton label={t.rules.up(number)} disabled={number === 1} onClick={() => props.onMove(-1)}>
					<ArrowUp size={16} />
				</IconButton>
				<IconButton label={t.rules.down(number)} disabled={props.last} onClick={() => props.onMove(1)}>
					<ArrowDown size={16} />
				</IconButton>
				<IconButton label={t.rules.remove(number)} onClick={props.onRemove}>
					<X size={16} />
				</IconButton>
			</div>
		</li>
	);
}

function Test(props: {
	test: TestFields;
	number: number;
	onChange: (change: Partial<TestFields>) => void;
	onRemove: () => void;
}) {
	const { test, number, onChange } = props;
	return (
		<li className="card rule">
			<fieldset>
				<legend>{t.tests.test(number)}</legend>
				<div className="test-fields">
					<Words label={t.tests.src} hint={t.rules.from} tags value={test.src} onChange={(src) => onChange({ src })} />
					<SelectField
						label={t.tests.proto}
						value={test.proto}
						options={[
							["tcp", "TCP"],
							["udp", "UDP"],
							["icmp", "ICMP"],
						]}
						onChoose={(proto) => onChange({ proto })}
					/>
					<Words
						label={t.tests.accept}
						hint={t.tests.hint}
						value={test.accept}
						onChange={(accept) => onChange({ accept })}
					/>
					<Words label={t.tests.deny} hint={t.tests.hint} value={test.deny} onChange={(deny) => onChange({ deny })} />
				</div>
			</fieldset>
			<div className="rule-actions">
				<IconButton label={t.tests.remove(number)} onClick={props.onRemove}>
					<X size={16} />
				</IconButton>
			</div>
		</li>
	);
}

function Words(props: {
	label: string;
	hint: string;
	value: string;
	tags?: boolean;
	onChange: (text: string) => void;
}) {
	return (
		<Field label={props.label}>
			{(ids) => (
				<input
					{...ids}
					{...exactInput}
					className="input mono"
					placeholder={props.hint}
					title={props.hint}
					value={props.value}
					{...(props.tags ? { list: "policy-tags" } : {})}
					onChange={(event) => props.onChange(event.target.value)}
				/>
			)}
		</Field>
	);
}

function IconButton(props: { label: string; disabled?: boolean; onClick: () => void; children: ReactNode }) {
	return (
		<button
			type="button"
			className="icon-button"
			aria-label={props.label}
			title={props.label}
			disabled={props.disabled ?? false}
			onClick={props.onClick}
		>
			{props.children}
		</button>
	);
}
