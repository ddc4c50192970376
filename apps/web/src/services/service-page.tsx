import "./services.css";
import { ArrowLeft } from "lucide-react";
import { Link } from "wouter";
import { self } from "../api/machine.ts";
import { Copyable } from "../ui/copyable.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { SelectField } from "../ui/select-field.tsx";
import { ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { StatusDot } from "../ui/status-dot.tsx";
import { agoOf } from "../ui/time.ts";
import { toast } from "../ui/toast.tsx";
import { Inspector } from "./inspector.tsx";
import { healthOf } from "./service-table.tsx";
import { changeService, type Service, useExposed, useServices } from "./services-api.ts";
import { t } from "./text.ts";

/** One service: who may come, how much, under which names, through which agents, and what came. */
export function ServicePage({ name }: { name: string }) {
	const { data, error, isPending, refetch } = useServices();
	const exposed = useExposed(self);
	const service = data?.find((each) => each.service === name);
	// What this machine says of it is waited for: the agents alone would call a port online that nobody answers.
	const health =
		service === undefined || exposed.isPending
			? undefined
			: healthOf(
					service,
					exposed.data?.find((each) => each.name === name),
				);
	return (
		<div className="page">
			<header className="page-head">
				<div>
					<Link className="link row small back" href="/services">
						<ArrowLeft size={15} aria-hidden="true" /> {t.back}
					</Link>
					<div className="row wrap">
						<h1>{name}</h1>
						{health !== undefined && <StatusDot state={health.state}>{health.word}</StatusDot>}
					</div>
					{health?.note != null && <p className="small muted">{health.note}</p>}
				</div>
			</header>
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{isPending && error === null && <Skeletons count={3} height={96} label={t.loading} />}
			{data !== undefined && service === undefined && <Notice tone="warn" title={t.unknown(name)} />}
			{service !== undefined && (
				<>
					<Copyable text={service.url} label={t.address} />
					<Settings key={service.service} service={service} />
					<Agents service={service} />
					<Inspector service={service} />
				</>
			)}
		</div>
	);
}

const listOf = (text: string) => text.split(/[\s,]+/).filter(Boolean);
const limitOf = (text: string) => (text === "" ? null : Number(text));

function Settings({ service }: { service: Service }) {
	const { settings } = service;
	const submission = useSubmit(async (form) => {
		const port = limitOf(textOf(form, "port"));
		await changeService(service.service, {
			settings: {
				require_identity: form.get("who") === "granted",
				allow: listOf(textOf(form, "allow")),
				deny: listOf(textOf(form, "deny")),
				requests_per_second: limitOf(textOf(form, "requests")),
				bytes_per_second: limitOf(textOf(form, "bytes")),
				max_body_bytes: limitOf(textOf(form, "body")),
			},
			domains: listOf(textOf(form, "domains")),
			...(port === service.port ? {} : { port }),
		});
		toast.add({ title: t.saved });
	});
	const number = { type: "number", inputMode: "numeric", min: 1, mono: true, hint: t.limitHint } as const;
	return (
		<section className="card padded stack" aria-labelledby="settings-title">
			<h2 id="settings-title">{t.settings}</h2>
			<Form
				submission={submission}
				className="form service-form"
				action={
					<div className="row end wide-field">
						<SubmitButton submission={submission}>{t.save}</SubmitButton>
					</div>
				}
			>
				<SelectField
					label={t.who}
					name="who"
					options={[
						["granted", t.granted],
						["everybody", t.everybody],
					]}
					defaultValue={settings.require_identity === true ? "granted" : "everybody"}
				/>
				<TextField
					{...exactInput}
					mono
					label={t.domains}
					hint={t.domainsHint}
					name="domains"
					defaultValue={service.domains.join(", ")}
				/>
				<TextField
					{...exactInput}
					mono
					label={t.allow}
					hint={t.allowHint}
					name="allow"
					defaultValue={settings.allow?.join(", ")}
				/>
				<TextField {...exactInput} mono label={t.deny} name="deny" defaultValue={settings.deny?.join(", ")} />
				<TextField
					{...number}
					label={t.requestsPerSecond}
					name="requests"
					defaultValue={settings.requests_per_second ?? ""}
				/>
				<TextField {...number} label={t.bytesPerSecond} name="bytes" defaultValue={settings.bytes_per_second ?? ""} />
				<TextField {...number} label={t.maxBody} name="body" defaultValue={settings.max_body_bytes ?? ""} />
				<TextField
					{...number}
					label={t.ownPort}
					hint={t.ownPortHint}
					name="port"
					max={65535}
					defaultValue={service.port ?? ""}
				/>
			</Form>
		</section>
	);
}

function Agents({ service }: { service: Service }) {
	return (
		<section className="stack tight" aria-labelledby="agents-title">
			<h2 id="agents-title">{t.agentList}</h2>
			{service.agents.length === 0 && <p className="muted">{t.noAgents}</p>}
			{service.agents.length > 0 && (
				<ul className="card list agents">
					{service.agents.map((agent) => (
						<li key={agent.id}>
							<StatusDot state={agent.healthy ? "up" : "warn"}>{agent.healthy ? t.online : t.troubled}</StatusDot>
							<span className="grow">
								<span>{agent.name ?? agent.id}</span>{" "}
								<span className="small muted mono">
									{agent.address} {agent.transport}
								</span>
							</span>
							<span className="small muted">
								{t.agentLinks(agent.links)}, {t.since(agoOf(agent.connectedAt))}
							</span>
						</li>
					))}
				</ul>
			)}
		</section>
	);
}
