import { useQuery } from "@tanstack/react-query";
import { ArrowLeft, Download } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { ApiError } from "../api/exchange.ts";
import { self } from "../api/machine.ts";
import { api } from "../api/warren.tsx";
import { Mark } from "../shell/mark.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Segments } from "../ui/field.tsx";
import { ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { t as ui } from "../ui/text.ts";
import { dayOf } from "../ui/time.ts";
import { t } from "./text/trust.ts";

type System = keyof typeof t.systems;

/** How a phone or computer comes to trust this warren's own certificate authority. Open to all. */
export function TrustPage() {
	const [system, setSystem] = useState<System>(() => guessSystem(navigator.userAgent));
	const ca = useQuery({
		queryKey: [self, "ca"],
		queryFn: async ({ signal }) => {
			try {
				return await api.request<{ fingerprint: string; name: string; notAfter: number | string }>(self, "/ca.json", {
					signal,
				});
			} catch (failure) {
				if (failure instanceof ApiError && failure.status === 404) return null;
				throw failure;
			}
		},
	});
	const options = Object.entries(t.systems) as [System, string][];
	const commands: readonly string[] = system in t.commands ? t.commands[system as keyof typeof t.commands] : [];
	const steps: readonly string[] = t.steps[system];
	return (
		<main className="page trust">
			<Link href="/" className="row small">
				<ArrowLeft size={15} aria-hidden="true" /> {t.back}
			</Link>
			<header className="stack tight">
				<span className="accent">
					<Mark size={32} />
				</span>
				<h1>{t.title}</h1>
				<p className="muted prose">{t.lead}</p>
			</header>
			{ca.isPending && <Skeletons count={2} height={80} label={t.fingerprint} />}
			{ca.isError && <ErrorNotice failure={ca.error} onRetry={() => void ca.refetch()} />}
			{ca.data === null && (
				<Notice title={t.noCa}>
					<span className="muted">{t.noCaFix}</span>
				</Notice>
			)}
			{ca.data && (
				<>
					<section className="section">
						<header>
							<h2>{t.compare}</h2>
							<p>{t.compareLead}</p>
						</header>
						<Copyable block text={ca.data.fingerprint} label={ui.values.fingerprint} />
						<p className="small faint">
							{ca.data.name} · {t.until(dayOf(new Date(ca.data.notAfter).getTime()))}
						</p>
					</section>
					<section className="section">
						<header>
							<h2>{t.install}</h2>
						</header>
						<div className="scroll-x">
							<Segments label={t.install} value={system} options={options} onChange={setSystem} />
						</div>
						<ol className="steps">
							{steps.map((step, index) => {
								const command = commands[index - (steps.length - commands.length)];
								return (
									<li key={step}>
										<span>{step}</span>
										{command !== undefined && <Copyable block text={command} label={ui.values.command} />}
									</li>
								);
							})}
						</ol>
						<div className="row wrap">
							<a
								className="button primary"
								href={system === "ios" ? "/ca.mobileconfig" : "/ca.crt"}
								download={system === "ios" ? undefined : "ca.crt"}
							>
								<Download size={16} aria-hidden="true" /> {system === "ios" ? t.profile : t.download}
							</a>
						</div>
						{(system === "mac" || system === "windows" || system === "linux") && (
							<p className="small faint">{t.firefox}</p>
						)}
					</section>
				</>
			)}
		</main>
	);
}

export function guessSystem(userAgent: string): System {
	if (/iPhone|iPad/.test(userAgent)) return "ios";
	if (/Android/.test(userAgent)) return "android";
	if (/Mac OS X/.test(userAgent)) return "mac";
	if (/Windows/.test(userAgent)) return "windows";
	return "linux";
}
