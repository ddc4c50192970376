import { useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { useMachineName } from "../api/warren.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { MadeDialog } from "../ui/made-dialog.tsx";
import { SelectField } from "../ui/select-field.tsx";
import { StatusDot } from "../ui/status-dot.tsx";
import { Addresses, stateOf } from "./exposed-facts.tsx";
import { type Exposed, exposePort, usePrincipals } from "./services-api.ts";
import { t } from "./text.ts";

type Who = "granted" | "everybody";
const whos = [
	["granted", t.granted],
	["everybody", t.everybody],
] as const;
const kinds = (["http", "h2", "tcp", "udp"] as const).map((kind) => [kind, t.kinds[kind]] as const);
type Kind = (typeof kinds)[number][0];

/** What `warren expose NAME PORT` does on a machine, as a sheet. @param props.standing what is changed; none = a new name. */
export function ExposePort(props: {
	machine: MachineId;
	open: boolean;
	standing?: Exposed | undefined;
	onClose: () => void;
}) {
	const { machine, open, standing, onClose } = props;
	const machineName = useMachineName(machine);
	return (
		<MadeDialog<Exposed>
			open={open}
			onClose={onClose}
			title={standing === undefined ? t.exposeTitle(machineName) : t.changeTitle(standing.name)}
			lead={t.exposeLead}
			form={(onMade) => <ExposeForm machine={machine} standing={standing} onDone={onMade} />}
			shown={(exposed, close) => ({
				title: stateOf(exposed).state === "up" ? t.exposed(exposed.name) : t.exposedWaiting(exposed.name),
				body: <Outcome exposed={exposed} onClose={close} />,
			})}
		/>
	);
}

function ExposeForm(props: { machine: MachineId; standing: Exposed | undefined; onDone: (exposed: Exposed) => void }) {
	const { machine, standing, onDone } = props;
	const [kind, setKind] = useState<Kind>("http");
	const [who, setWho] = useState<Who>(standing?.public === true ? "everybody" : "granted");
	const submission = useSubmit(async (form) => {
		const everybody = who === "everybody";
		const chosen = [...form.getAll("grant"), ...textOf(form, "grants").split(/[\s,]+/)].map(String).filter(Boolean);
		onDone(
			await exposePort(machine, standing?.name ?? textOf(form, "name"), {
				port: Number(form.get("port")),
				public: everybody,
				kind: standing?.kind ?? kind,
				grant: everybody ? [] : chosen,
			}),
		);
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{standing === undefined ? t.exposeSubmit : t.save}
				</SubmitButton>
			}
		>
			<div className="host-port">
				<TextField
					{...exactInput}
					mono
					label={t.name}
					hint={t.nameHint}
					name="name"
					pattern="[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?"
					title={t.nameHint}
					maxLength={63}
					required
					{...(standing === undefined ? {} : { value: standing.name, readOnly: true })}
				/>
				<TextField
					mono
					label={t.port}
					title={t.portHint}
					name="port"
					type="number"
					inputMode="numeric"
					min={1}
					max={65535}
					defaultValue={standing?.port}
					required
				/>
			</div>
			{standing === undefined && <SelectField label={t.kind} options={kinds} value={kind} onChoose={setKind} />}
			<SelectField label={t.who} options={whos} value={who} onChoose={setWho} />
			{who === "granted" && <GrantChoice />}
		</Form>
	);
}

/** Beside those who have a grant already. Where the backbone is another machine's, principals are known by identifier alone. */
function GrantChoice() {
	const { data, isPending } = usePrincipals();
	if (isPending) return null;
	if (data === undefined)
		return <TextField {...exactInput} mono label={t.grants} hint={t.grantsHint} name="grants" maxLength={4000} />;
	const active = data.filter(({ state }) => state === "active");
	if (active.length === 0) return <p className="small muted">{t.noPrincipals}</p>;
	return (
		<fieldset className="stack tight">
			<legend className="label">{t.grants}</legend>
			{active.map(({ principal_id: id, name, email }) => (
				<label key={id} className="row">
					<input className="check" type="checkbox" name="grant" value={id} />
					<span>
						{name} <span className="small muted">{email}</span>
					</span>
				</label>
			))}
		</fieldset>
	);
}

function Outcome({ exposed, onClose }: { exposed: Exposed; onClose: () => void }) {
	const { state, word, note } = stateOf(exposed);
	return (
		<div className="stack tight">
			<StatusDot state={state}>{word}</StatusDot>
			{note !== null && <p className="muted">{note}</p>}
			<Addresses exposed={exposed} />
			<div className="row end">
				<button type="button" className="button primary" onClick={onClose}>
					{t.ok}
				</button>
			</div>
		</div>
	);
}
