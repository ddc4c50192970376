import { type ReactNode, useEffect } from "react";
import { type MachineId, self } from "../api/machine.ts";
import { useCredential, useFeed, usePeers } from "../api/warren.tsx";
import { PeerSignIn } from "../pages/peer-sign-in.tsx";

/** Shows a machine's page once this browser holds that machine's own token; else asks for its PIN. */
export function MachineGate({ machine, children }: { machine: MachineId; children: ReactNode }) {
	const credential = useCredential(machine);
	const peers = usePeers();
	const name = peers.data?.peers.find((peer) => peer.id === machine)?.name;
	useEffect(() => {
		document.title = name === undefined ? "Warren" : `${name} · Warren`;
	}, [name]);
	if (credential !== undefined && machine === self) return children;
	if (credential === undefined) return <PeerSignIn machine={machine} />;
	return <PeerFeed machine={machine}>{children}</PeerFeed>;
}

function PeerFeed({ machine, children }: { machine: MachineId; children: ReactNode }) {
	useFeed(machine);
	return children;
}
