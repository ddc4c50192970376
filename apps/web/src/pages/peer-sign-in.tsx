import { ArrowLeft } from "lucide-react";
import { Link } from "wouter";
import { type MachineId, self } from "../api/machine.ts";
import { useMachineName, usePeers } from "../api/warren.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Notice } from "../ui/states.tsx";
import { PinCard } from "./pin-card.tsx";
import { SignInForm } from "./sign-in.tsx";
import { t } from "./text/sign-in.ts";

/** Asks for a peer's own user and PIN, once for this browser. */
export function PeerSignIn({ machine }: { machine: MachineId }) {
	const name = useMachineName(machine);
	const via = useMachineName(self);
	const peer = usePeers().data?.peers.find((each) => each.id === machine);
	const changedPin = peer?.error?.code === "pin_mismatch";
	return (
		<div className="gate">
			<div className="gate-card">
				<Link href="/machines" className="row small">
					<ArrowLeft size={15} aria-hidden="true" /> {t.back}
				</Link>
				<div className="gate-head">
					<h1>{t.peerTitle(name)}</h1>
					<p className="muted">{t.peerLead(name, via)}</p>
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
						<SignInForm machine={machine} machineName={name} />
					</>
				)}
				{peer !== undefined && (
					<div className="gate-foot">
						<Copyable text={`${peer.host}:${peer.port}`} label="address" />
					</div>
				)}
			</div>
		</div>
	);
}
