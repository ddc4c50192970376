import { ArrowLeft, Server } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { enrolWithAccount } from "../api/enrolment.ts";
import { useAccount } from "../api/hub.ts";
import { type MachineId, self } from "../api/machine.ts";
import { useMachineName, usePeers } from "../api/warren.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Empty, ErrorNotice, Notice } from "../ui/states.tsx";
import { t as ui } from "../ui/text.ts";
import { NodeSignIn } from "./node-sign-in.tsx";
import { PinCard } from "./pin-card.tsx";
import { t } from "./text/sign-in.ts";

/** The way into one machine, once for this browser: by the account of whoever joined it, or its own user and PIN. */
export function PeerSignIn({ machine }: { machine: MachineId }) {
	const name = useMachineName(machine);
	const via = useMachineName(self);
	const peers = usePeers().data?.peers;
	const peer = peers?.find((each) => each.id === machine);
	const changedPin = peer?.error?.code === "pin_mismatch";
	if (machine !== self && peers !== undefined && peer === undefined) return <UnknownMachine id={machine} />;
	return (
		<div className="gate">
			<div className="gate-card">
				{machine !== self && (
					<Link href="/machines" className="row small">
						<ArrowLeft size={15} aria-hidden="true" /> {t.back}
					</Link>
				)}
				<div className="gate-head">
					<h1>{t.peerTitle(name)}</h1>
					<p className="muted">{machine === self ? t.selfLead(name) : t.peerLead(name, via)}</p>
				</div>
				{changedPin && peer !== undefined ? (
					<PinCard peer={machine} name={name} />
				) : (
					<>
						{peer?.error !== undefined && (
							<Notice tone="warn" title={peer.error.message}>
								<span>{peer.error.fix}</span>
							</Notice>
						)}
						<ByAccount machine={machine} name={name} />
						<NodeSignIn machine={machine} machineName={name} />
					</>
				)}
				{peer !== undefined && (
					<div className="gate-foot">
						<Copyable text={`${peer.host}:${peer.port}`} label={ui.values.address} />
					</div>
				)}
			</div>
		</div>
	);
}

/** An old link, or a machine that was removed. */
function UnknownMachine({ id }: { id: MachineId }) {
	return (
		<div className="page">
			<h1 className="visually-hidden">{t.unknownMachine}</h1>
			<Empty
				icon={<Server size={28} aria-hidden="true" />}
				action={
					<Link className="button" href="/machines">
						{t.back}
					</Link>
				}
			>
				{t.unknownMachineLead(id)}
			</Empty>
		</div>
	);
}

function ByAccount({ machine, name }: { machine: MachineId; name: string }) {
	const account = useAccount();
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	if (account === undefined) return null;
	async function enrol() {
		setBusy(true);
		setFailure(undefined);
		try {
			await enrolWithAccount(machine, name);
		} catch (thrown) {
			setFailure(thrown);
			setBusy(false);
		}
	}
	return (
		<div className="form">
			<button type="button" className="button primary" disabled={busy} aria-busy={busy} onClick={() => void enrol()}>
				{t.asAccount(account.name)}
			</button>
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<p className="divider">{t.orPin}</p>
		</div>
	);
}
