import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { Copyable } from "../ui/copyable.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { MadeDialog } from "../ui/made-dialog.tsx";
import { SelectField } from "../ui/select-field.tsx";
import { Empty, ErrorNotice, Skeletons } from "../ui/states.tsx";
import { agoOf } from "../ui/time.ts";
import { makeToken, revokeToken, type Service, type ServiceToken, useTokens } from "./services-api.ts";
import { ShownOnce } from "./shown-once.tsx";
import { t } from "./text.ts";

export function TokenList({ services }: { services: readonly Service[] }) {
	const { data, error, isPending, refetch } = useTokens();
	const [making, setMaking] = useState(false);
	return (
		<>
			<div className="row end">
				<button type="button" className="button" onClick={() => setMaking(true)}>
					<Plus size={16} aria-hidden="true" /> {t.token.make}
				</button>
			</div>
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{isPending && error === null && <Skeletons count={2} height={52} label={t.loading} />}
			{data?.length === 0 && <Empty icon={<KeyRound size={28} aria-hidden="true" />}>{t.token.empty}</Empty>}
			{data !== undefined && data.length > 0 && (
				<ul className="card list">
					{data.map((token) => (
						<TokenRow key={token.id} token={token} />
					))}
				</ul>
			)}
			<MakeToken open={making} onClose={() => setMaking(false)} services={services} />
		</>
	);
}

function TokenRow({ token }: { token: ServiceToken }) {
	const [asking, setAsking] = useState(false);
	return (
		<li>
			<span className="grow">
				<span className="machine-name">{token.service}</span>
				<span className="small muted">
					{t.token.made(agoOf(token.created_at))},{" "}
					{token.last_used_at === null ? t.token.never : t.token.used(agoOf(token.last_used_at))}
				</span>
			</span>
			<button type="button" className="button danger" onClick={() => setAsking(true)}>
				{t.token.revoke}
			</button>
			<Confirm
				open={asking}
				onClose={() => setAsking(false)}
				title={t.token.revokeTitle(token.service)}
				action={t.token.revoke}
				onConfirm={() => revokeToken(token.id)}
			>
				{t.token.revokeBody}
			</Confirm>
		</li>
	);
}

function MakeToken({ open, onClose, services }: { open: boolean; onClose: () => void; services: readonly Service[] }) {
	return (
		<MadeDialog<{ token: string; service: string }>
			open={open}
			onClose={onClose}
			title={t.token.title}
			lead={t.token.lead}
			wide
			form={(onMade) => <TokenForm services={services} onMade={onMade} />}
			shown={({ token, service }, close) => ({
				title: t.token.madeTitle(service),
				body: (
					<ShownOnce lead={t.token.once} secret={token} label={t.token.label} onDone={close}>
						<p className="small muted">{t.token.command}</p>
						<Copyable
							block
							label={t.token.commandLabel}
							text={`BACKBONE_SERVICE_TOKEN=… warren agent --backbone ${backboneOf(services)} --service ${service} --target 127.0.0.1:PORT`}
						/>
					</ShownOnce>
				),
			})}
		/>
	);
}

/** A service's address below the backbone's domain, without its first label. */
function backboneOf(services: readonly Service[]): string {
	const [first] = services.filter(({ kind, port }) => (kind === "http" || kind === "h2") && port === null);
	if (first === undefined) return "URL";
	const { protocol, host } = new URL(first.url);
	return `${protocol}//${host.slice(first.service.length + 1)}`;
}

function TokenForm(props: {
	services: readonly Service[];
	onMade: (made: { token: string; service: string }) => void;
}) {
	const submission = useSubmit(async (form) => {
		const name = textOf(form, "service");
		const standing = props.services.find(({ service }) => service === name);
		props.onMade(await makeToken(name, standing?.kind ?? textOf(form, "kind")));
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.token.make}
				</SubmitButton>
			}
		>
			<datalist id="service-names">
				{props.services.map(({ service }) => (
					<option key={service} value={service} />
				))}
			</datalist>
			<TextField
				{...exactInput}
				mono
				label={t.token.service}
				name="service"
				list="service-names"
				maxLength={63}
				required
			/>
			<SelectField
				label={t.token.kind}
				name="kind"
				options={(["http", "h2", "tcp", "udp"] as const).map((kind) => [kind, t.kinds[kind]] as const)}
			/>
		</Form>
	);
}
