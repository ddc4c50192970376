/** What tests share: virtual time, seeded randomness, folders and processes that clean up after themselves. Never imported by what ships. */
export { commandEnvironment, compiledCode } from "./command-environment.ts";
export { type PosedPostgres, type PosedServer, poseNats, posePostgres } from "./engines.ts";
export { type FaultRelay, type Faults, faultRelay } from "./fault-relay.ts";
export { freePort } from "./free-port.ts";
export { type FromPortZero, fromPortZero } from "./from-port-zero.ts";
export { type GoProgram, goProgram } from "./go-program.ts";
export { type GuestScript, missingForGuest, runInGuest } from "./guest.ts";
export { type HostilePeer, type HostilePeerOptions, hostilePeer } from "./hostile-peer.ts";
export { noNats, TestNats, type TestNatsOptions } from "./nats.ts";
export { FakeObjectStorage } from "./object-storage.ts";
export { noPostgres, TestPostgres } from "./postgres.ts";
export {
	type FakeProvider,
	type FakeProviderOptions,
	fakeProvider,
	hugeAnswerBytes,
	type SeenRequest,
} from "./providers/fake-provider.ts";
export { RawClient, type RawClientOptions } from "./raw-client.ts";
export { SeededRandom } from "./seeded-random.ts";
export { type NatKind, type SimulatedAddress, type SimulatedHost, SimulatedNetwork } from "./simulated-network.ts";
export { openSocialProxy, type SocialProxy } from "./social/social-proxy.ts";
export { socialServices } from "./social/social-services.ts";
export { type StartCommandOptions, type StartedCommand, startCommand } from "./start-command.ts";
export { type StartedNode, type StartNodeOptions, startNode } from "./start-node.ts";
export { type StartedServer, startServer } from "./start-server.ts";
export { tempFolder } from "./temp-folder.ts";
export { type CollectedSpan, openTraceCollector, type TraceCollector } from "./trace-collector.ts";
export { VirtualClock } from "./virtual-clock.ts";
export { bundleWorker } from "./worker-bundle.ts";
export { Workerd, type WorkerdOptions, workerdCompatibility } from "./workerd.ts";
