import type { ReactNode } from "react";
import { Redirect, useLocation } from "wouter";
import { isLoopback } from "../../api/links.ts";
import { self, terminalsPath } from "../../api/machine.ts";
import { useFeed, useMachineName, useMe, usePeers } from "../../api/warren.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { QrCode } from "../../ui/qr.tsx";
import { Notice, Skeletons } from "../../ui/states.tsx";
import { Gate } from "../gate.tsx";
import { MachineNameForm } from "../machine-name-form.tsx";
import { AddByCode } from "../machines/add-by-code.tsx";
import { t as named } from "../text/machine-name.ts";
import { endWelcome, nextStep, useWelcomeStep, welcomeSteps } from "./progress.ts";
import { t } from "./text.ts";

/** The rest of the first minute: a name, the phone, a second machine. Every step may be left out, and gone on with later. */
export function WelcomePage() {
	const step = useWelcomeStep();
	switch (step) {
		case undefined:
			return <Redirect to={terminalsPath(self)} replace />;
		case "name":
			return <NameStep />;
		case "phone":
			return <PhoneStep />;
		case "machine":
			return <MachineStep />;
		case "done":
			return <DoneStep />;
	}
}

/** The two steps before these asked for user, PIN and account. */
const stepsBefore = 2;

function Step(props: { step: (typeof welcomeSteps)[number]; title: string; lead: string; children: ReactNode }) {
	const [, navigate] = useLocation();
	return (
		<Gate
			title={props.title}
			lead={props.lead}
			step={t.step(stepsBefore + 1 + welcomeSteps.indexOf(props.step))}
			foot={
				<>
					<button type="button" className="link" onClick={nextStep}>
						{t.skip}
					</button>
					<button type="button" className="link" onClick={() => navigate(terminalsPath(self))}>
						{t.later}
					</button>
				</>
			}
		>
			{props.children}
		</Gate>
	);
}

function NameStep() {
	const name = useMe(self).data?.node.name;
	return (
		<Step step="name" title={named.title} lead={named.lead}>
			{name === undefined ? (
				<Skeletons count={1} height={84} label={named.name} />
			) : (
				<MachineNameForm name={name} onDone={nextStep} />
			)}
		</Step>
	);
}

function PhoneStep() {
	const peers = usePeers().data;
	const loopback = isLoopback(location.hostname);
	const origin = loopback ? peers && `${location.protocol}//${peers.self.host}:${peers.self.port}` : location.origin;
	return (
		<Step step="phone" title={t.phoneTitle} lead={t.phoneLead}>
			{origin === undefined ? (
				<Skeletons count={1} height={220} label={t.phoneAddress} />
			) : (
				<div className="pairing">
					<QrCode text={`${origin}/trust`} label={t.phoneQr(`${origin}/trust`)} />
					<Copyable text={`${origin}/trust`} label={t.phoneAddress} />
				</div>
			)}
			{loopback && <Notice tone="warn" title={t.phoneLoopback} />}
			<p className="muted small">{t.phoneAfter}</p>
			<button type="button" className="button primary" onClick={nextStep}>
				{t.next}
			</button>
		</Step>
	);
}

function MachineStep() {
	// Outside the shell nothing else hears that the machine which joined can be reached.
	useFeed(self);
	return (
		<Step step="machine" title={t.machineTitle} lead={t.machineLead}>
			<AddByCode onClose={endWelcome} />
			<button type="button" className="button" onClick={nextStep}>
				{t.next}
			</button>
		</Step>
	);
}

function DoneStep() {
	const [, navigate] = useLocation();
	const name = useMachineName(self);
	return (
		<Gate title={t.doneTitle} lead={t.doneLead(name)}>
			<button
				type="button"
				className="button primary"
				onClick={() => {
					endWelcome();
					navigate(`${terminalsPath(self)}?new`, { replace: true });
				}}
			>
				{t.open}
			</button>
		</Gate>
	);
}
