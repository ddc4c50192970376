import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, Suspense, useEffect, useState } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { t as agentText } from "./agent/text.ts";
import { useAccount } from "./api/hub.ts";
import { self, terminalsPath } from "./api/machine.ts";
import { signedInPath } from "./api/social.ts";
import { queryClient, useCredential } from "./api/warren.tsx";
import { t as chatText } from "./chat/text.ts";
import { lazyPage } from "./chunks/lazy-page.tsx";
import { SignInPage } from "./pages/sign-in.tsx";
import { TerminalsPage } from "./pages/terminals.tsx";
import { t as gateText } from "./pages/text/account-gate.ts";
import { AccountGate } from "./shell/account-gate.tsx";
import type { Arrival } from "./shell/arrival.ts";
import { Boundary } from "./shell/boundary.tsx";
import { MachineGate } from "./shell/machine-gate.tsx";
import { preferences } from "./shell/preferences.ts";
import { Shell } from "./shell/shell.tsx";
import { t as shellText } from "./shell/text.ts";
import { ProgressLine } from "./ui/progress-line.tsx";
import { Skeletons } from "./ui/states.tsx";
import { Toasts } from "./ui/toast.tsx";

const MachinesPage = lazyPage(async () => (await import("./pages/machines/machines.tsx")).MachinesPage);
const ActivityPage = lazyPage(async () => (await import("./pages/activity.tsx")).ActivityPage);
const SettingsPage = lazyPage(async () => (await import("./pages/settings/settings.tsx")).SettingsPage);
const AccountPage = lazyPage(async () => (await import("./pages/account/account.tsx")).AccountPage);
const DocsPage = lazyPage(async () => (await import("./pages/docs/docs.tsx")).DocsPage);
const DocPage = lazyPage(async () => (await import("./pages/docs/doc.tsx")).DocPage);
const ChatsPage = lazyPage(async () => (await import("./chat/chats-page.tsx")).ChatsPage);
const ChatPage = lazyPage(async () => (await import("./chat/chat-page.tsx")).ChatPage);
const AgentPage = lazyPage(async () => (await import("./agent/agent-page.tsx")).AgentPage);
const NetworkPage = lazyPage(async () => (await import("./network/network-page.tsx")).NetworkPage);
const AccessPage = lazyPage(async () => (await import("./access/access-page.tsx")).AccessPage);
const ServicesPage = lazyPage(async () => (await import("./services/services-page.tsx")).ServicesPage);
const ExposedPage = lazyPage(async () => (await import("./services/exposed-page.tsx")).ExposedPage);
const ServicePage = lazyPage(async () => (await import("./services/service-page.tsx")).ServicePage);
const MorePage = lazyPage(async () => (await import("./pages/more.tsx")).MorePage);
const RoomsPage = lazyPage(async () => (await import("./rooms/rooms-page.tsx")).RoomsPage);
const SetupPage = lazyPage(async () => (await import("./pages/setup.tsx")).SetupPage);
const FirstAccountPage = lazyPage(async () => (await import("./pages/setup.tsx")).FirstAccountPage);
const InvitedPage = lazyPage(async () => (await import("./pages/invited.tsx")).InvitedPage);
const PairPage = lazyPage(async () => (await import("./pages/pair.tsx")).PairPage);
const ApproveDevicePage = lazyPage(async () => (await import("./pages/approve-device.tsx")).ApproveDevicePage);
const WelcomePage = lazyPage(async () => (await import("./pages/welcome/welcome.tsx")).WelcomePage);
const SignedInPage = lazyPage(async () => (await import("./pages/signed-in.tsx")).SignedInPage);
const SharePage = lazyPage(async () => (await import("./pages/share.tsx")).SharePage);
const TrustPage = lazyPage(async () => (await import("./pages/trust.tsx")).TrustPage);
const PanesPage = lazyPage(async () => (await import("./panes/panes-page.tsx")).PanesPage);

export function App({ arrival }: { arrival: Arrival }) {
	return (
		<CSPProvider disableStyleElements>
			<QueryClientProvider client={queryClient}>
				<ProgressLine />
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
	const [arrived, setArrived] = useState(false);
	const onDevice = useCredential(self) !== undefined;
	const onAccount = useAccount() !== undefined;
	// An account that has just signed in first tries to enter this machine, too: what it may see depends on that.
	const [entered, setEntered] = useState(onAccount);
	useEffect(() => {
		if (!onDevice && !onAccount) setEntered(false);
	}, [onDevice, onAccount]);
	const done = () => {
		setArrived(true);
		setEntered(true);
	};
	if (!arrived) {
		switch (arrival.kind) {
			case "setup":
				return <SetupPage secret={arrival.secret} onDone={done} />;
			case "account":
				return <FirstAccountPage secret={arrival.secret} onDone={done} />;
			case "invitation":
				return <InvitedPage code={arrival.secret} onDone={done} />;
			case "pair":
				return <PairPage code={arrival.secret} onDone={done} />;
			case "device":
				return <ApproveDevicePage code={arrival.secret} onDone={done} />;
		}
	}
	if (path === "/share") return <SharePage token={arrival.kind === "share" ? arrival.token : undefined} />;
	if (path === "/trust") return <TrustPage />;
	if (path === signedInPath) return <SignedInPage onEntered={() => setEntered(true)} />;
	if (!onDevice && !(onAccount && entered)) return <SignInPage onEntered={() => setEntered(true)} />;
	if (path === "/welcome") return inMachine(self, <WelcomePage />);
	return (
		<Shell>
			<Suspense fallback={<Waiting />}>
				<Switch>
					<Route path="/m/:machine/terminals">
						{({ machine }) => inMachine(machine, <TerminalsPage machine={machine} />)}
					</Route>
					<Route path="/m/:machine/terminals/:session">
						{({ machine, session }) => (
							<PanesPage machine={decodeURIComponent(machine)} session={decodeURIComponent(session)} />
						)}
					</Route>
					<Route path="/m/:machine/rooms/:room?">
						{({ machine, room }) => inMachine(machine, <RoomsPage key={machine} machine={machine} room={room} />)}
					</Route>
					<Route path="/m/:machine/activity">
						{({ machine }) => inMachine(machine, <ActivityPage machine={machine} />)}
					</Route>
					<Route path="/m/:machine/services">
						{({ machine }) => inMachine(machine, <ExposedPage key={machine} machine={machine} />)}
					</Route>
					<Route path="/machines">{inMachine(self, <MachinesPage />)}</Route>
					<Route path="/access">{inMachine(self, <AccessPage />)}</Route>
					<Route path="/services">{inMachine(self, <ServicesPage />)}</Route>
					<Route path="/services/:service">
						{({ service }) => inMachine(self, <ServicePage key={service} name={decodeURIComponent(service)} />)}
					</Route>
					<Route path="/network">{inMachine(self, <NetworkPage />)}</Route>
					<Route path="/docs">{inAccount(gateText.documents, <DocsPage />)}</Route>
					<Route path="/docs/:document">
						{({ document }) => inAccount(gateText.documents, <DocPage key={document} id={document} />)}
					</Route>
					<Route path="/chat">{inAccount(chatText.what, <ChatsPage />)}</Route>
					<Route path="/chat/:chat">
						{({ chat }) => inAccount(chatText.what, <ChatPage key={chat} id={decodeURIComponent(chat)} />)}
					</Route>
					<Route path="/agent">{inMachine(self, inAccount(agentText.what, <AgentPage />))}</Route>
					<Route path="/agent/:session">
						{({ session }) =>
							inMachine(self, inAccount(agentText.what, <AgentPage session={decodeURIComponent(session)} />))
						}
					</Route>
					<Route path="/account">{inAccount(gateText.account, <AccountPage />)}</Route>
					<Route path="/settings">
						<SettingsPage />
					</Route>
					<Route path="/more">
						<MorePage />
					</Route>
					<Route>
						<Redirect to={startPath(onDevice)} replace />
					</Route>
				</Switch>
			</Suspense>
		</Shell>
	);
}

const inMachine = (machine: string, page: ReactNode) => <MachineGate machine={machine}>{page}</MachineGate>;
const inAccount = (what: string, page: ReactNode) => <AccountGate what={what}>{page}</AccountGate>;

/** Where `/` leads: back to the last page, which only ever fills in for an address that names none. */
function startPath(onDevice: boolean): string {
	const { lastPath } = preferences();
	if (
		/^\/(m\/[^/]+\/|docs\/|chat\/|agent\/|(docs|chat|agent|machines|network|access|services|settings|account|more)$)/.test(
			lastPath,
		)
	)
		return lastPath;
	return onDevice ? terminalsPath(self) : "/docs";
}

function Waiting() {
	return (
		<div className="page">
			<Skeletons count={3} height={72} label={shellText.loading} />
		</div>
	);
}
