import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClientProvider } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { self, terminalsPath } from "./api/machine.ts";
import { queryClient, useCredential } from "./api/warren.tsx";
import { SignInPage } from "./pages/sign-in.tsx";
import { TerminalsPage } from "./pages/terminals.tsx";
import type { Arrival } from "./shell/arrival.ts";
import { Boundary } from "./shell/boundary.tsx";
import { MachineGate } from "./shell/machine-gate.tsx";
import { preferences } from "./shell/preferences.ts";
import { Shell } from "./shell/shell.tsx";
import { Skeletons } from "./ui/states.tsx";
import { Toasts } from "./ui/toast.tsx";

const MachinesPage = lazy(async () => ({ default: (await import("./pages/machines.tsx")).MachinesPage }));
const ActivityPage = lazy(async () => ({ default: (await import("./pages/activity.tsx")).ActivityPage }));
const RoomsPage = lazy(async () => ({ default: (await import("./rooms/rooms-page.tsx")).RoomsPage }));
const SettingsPage = lazy(async () => ({ default: (await import("./pages/settings.tsx")).SettingsPage }));
const SetupPage = lazy(async () => ({ default: (await import("./pages/setup.tsx")).SetupPage }));
const SharePage = lazy(async () => ({ default: (await import("./pages/share.tsx")).SharePage }));
const TrustPage = lazy(async () => ({ default: (await import("./pages/trust.tsx")).TrustPage }));
const TerminalPage = lazy(async () => ({ default: (await import("./pages/terminal.tsx")).TerminalPage }));

export function App({ arrival }: { arrival: Arrival }) {
	return (
		<CSPProvider disableStyleElements>
			<QueryClientProvider client={queryClient}>
				<Boundary>
					<Suspense fallback={<Waiting />}>
						<Pages arrival={arrival} />
					</Suspense>
				</Boundary>
				<Toasts />
			</QueryClientProvider>
		</CSPProvider>
	);
}

function Pages({ arrival }: { arrival: Arrival }) {
	const [path] = useLocation();
	const [setupDone, setSetupDone] = useState(false);
	const signedIn = useCredential(self) !== undefined;
	if (arrival.kind === "setup" && !setupDone) {
		return <SetupPage secret={arrival.secret} onDone={() => setSetupDone(true)} />;
	}
	if (path === "/share") return <SharePage token={arrival.kind === "share" ? arrival.token : undefined} />;
	if (path === "/trust") return <TrustPage />;
	if (!signedIn) return <SignInPage />;
	return (
		<Shell>
			<Suspense fallback={<Waiting />}>
				<Switch>
					<Route path="/m/:machine/terminals">
						{({ machine }) => inMachine(machine, <TerminalsPage machine={machine} />)}
					</Route>
					<Route path="/m/:machine/terminals/:session">
						{({ machine, session }) =>
							inMachine(
								machine,
								<TerminalPage key={`${machine}/${session}`} machine={machine} session={decodeURIComponent(session)} />,
							)
						}
					</Route>
					<Route path="/m/:machine/rooms/:room?">
						{({ machine, room }) => inMachine(machine, <RoomsPage key={machine} machine={machine} room={room} />)}
					</Route>
					<Route path="/m/:machine/activity">
						{({ machine }) => inMachine(machine, <ActivityPage machine={machine} />)}
					</Route>
					<Route path="/machines">
						<MachinesPage />
					</Route>
					<Route path="/settings">
						<SettingsPage />
					</Route>
					<Route>
						<Redirect to={startPath()} replace />
					</Route>
				</Switch>
			</Suspense>
		</Shell>
	);
}

const inMachine = (machine: string, page: ReactNode) => <MachineGate machine={machine}>{page}</MachineGate>;

/** Where `/` leads: back to the last page, which only ever fills in for an address that names none. */
function startPath(): string {
	const { lastPath } = preferences();
	return /^\/(m\/[^/]+\/|machines$|settings$)/.test(lastPath) ? lastPath : terminalsPath(self);
}

function Waiting() {
	return (
		<div className="page">
			<Skeletons count={3} height={72} label="Loading" />
		</div>
	);
}
