import { Plus, Users, X } from "lucide-react";
import { useState } from "react";
import { ActionButton, useBusy } from "../ui/action-button.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { MadeDialog } from "../ui/made-dialog.tsx";
import { Empty, ErrorNotice, Skeletons } from "../ui/states.tsx";
import { t as ui } from "../ui/text.ts";
import { toastError } from "../ui/toast.tsx";
import {
	approvePrincipal,
	grant,
	type Principal,
	registerPrincipal,
	revokeGrant,
	revokePrincipal,
	type Service,
	useGrants,
	usePrincipals,
} from "./services-api.ts";
import { ShownOnce } from "./shown-once.tsx";
import { t } from "./text.ts";

export function PrincipalList({ services }: { services: readonly Service[] }) {
	const { data, error, isPending, refetch } = usePrincipals();
	const [adding, setAdding] = useState(false);
	return (
		<>
			<div className="row end">
				<button type="button" className="button" onClick={() => setAdding(true)}>
					<Plus size={16} aria-hidden="true" /> {t.principal.add}
				</button>
			</div>
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{isPending && error === null && <Skeletons count={2} height={72} label={t.loading} />}
			{data?.length === 0 && <Empty icon={<Users size={28} aria-hidden="true" />}>{t.principal.empty}</Empty>}
			{data !== undefined && data.length > 0 && (
				<ul className="card list principals">
					{data.map((principal) => (
						<PrincipalRow key={principal.principal_id} principal={principal} services={services} />
					))}
				</ul>
			)}
			<Register open={adding} onClose={() => setAdding(false)} />
		</>
	);
}

function PrincipalRow({ principal, services }: { principal: Principal; services: readonly Service[] }) {
	const { principal_id: id, name, state } = principal;
	const [asking, setAsking] = useState(false);
	const revoked = state === "revoked";
	return (
		<li>
			<div className="grow stack tight">
				<div className="row wrap">
					<span className="machine-name">{name}</span>
					<span className="small muted">{principal.email}</span>
					<span className={state === "active" ? "tag live" : revoked ? "tag danger" : "tag warn"}>
						{t.principal.states[state]}
					</span>
				</div>
				<Copyable text={id} label={ui.values.identifier} />
				{!revoked && <Grants principal={principal} services={services} />}
			</div>
			<div className="row wrap">
				{state === "pending" && (
					<ActionButton
						className="button primary"
						act={() => approvePrincipal(id).catch((failure) => toastError(name, failure))}
					>
						{t.principal.approve}
					</ActionButton>
				)}
				{!revoked && (
					<button type="button" className="button danger" onClick={() => setAsking(true)}>
						{t.principal.revoke}
					</button>
				)}
			</div>
			<Confirm
				open={asking}
				onClose={() => setAsking(false)}
				title={t.principal.revokeTitle(name)}
				action={t.principal.revoke}
				onConfirm={() => revokePrincipal(id)}
			>
				{t.principal.revokeBody(name)}
			</Confirm>
		</li>
	);
}

function Grants({ principal, services }: { principal: Principal; services: readonly Service[] }) {
	const { principal_id: id, name } = principal;
	const { data } = useGrants(id);
	const held = new Set(data?.map(({ service }) => service));
	const others = services.filter(({ service }) => !held.has(service));
	const [busy, work] = useBusy();
	const run = (asked: Promise<unknown>) => void work(() => asked.catch((failure) => toastError(name, failure)));
	return (
		<div className="row wrap grants">
			<span className="small muted">{t.principal.grants}</span>
			{data?.length === 0 && <span className="small faint">{t.principal.none}</span>}
			{data?.map(({ service }) => (
				<span key={service} className="tag grant">
					{service}
					<button
						type="button"
						aria-label={t.principal.ungrant(service, name)}
						title={t.principal.ungrant(service, name)}
						disabled={busy}
						aria-busy={busy}
						onClick={() => run(revokeGrant(id, service))}
					>
						<X size={13} aria-hidden="true" />
					</button>
				</span>
			))}
			{others.length > 0 && (
				<select
					className="select narrow"
					aria-label={t.principal.grantFor(name)}
					value=""
					disabled={busy}
					aria-busy={busy}
					onChange={(event) => run(grant(id, event.target.value))}
				>
					<option value="" disabled>
						{t.principal.grant}
					</option>
					{others.map(({ service }) => (
						<option key={service}>{service}</option>
					))}
				</select>
			)}
		</div>
	);
}

function Register({ open, onClose }: { open: boolean; onClose: () => void }) {
	return (
		<MadeDialog<{ name: string; credential: string }>
			open={open}
			onClose={onClose}
			title={t.principal.title}
			lead={t.principal.lead}
			form={(onMade) => <RegisterForm onMade={onMade} />}
			shown={({ name, credential }, close) => ({
				title: t.principal.madeTitle(name),
				body: <ShownOnce lead={t.principal.once} secret={credential} label={t.principal.label} onDone={close} />,
			})}
		/>
	);
}

function RegisterForm({ onMade }: { onMade: (made: { name: string; credential: string }) => void }) {
	const submission = useSubmit(async (form) => {
		const name = textOf(form, "name");
		const { credential } = await registerPrincipal(name, textOf(form, "email"));
		onMade({ name, credential });
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.principal.add}
				</SubmitButton>
			}
		>
			<TextField label={t.principal.name} name="name" autoComplete="off" maxLength={80} required />
			<TextField label={t.principal.email} name="email" type="email" autoComplete="off" maxLength={200} required />
		</Form>
	);
}
