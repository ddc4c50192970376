/** What stands on NATS, for what several machines share: key-value with watch, bus, streams. */
export { Nats } from "./nats.ts";
export { NatsBus } from "./nats-bus.ts";
export { NatsKeyValue } from "./nats-key-value.ts";
export { NatsStream } from "./nats-stream.ts";
