/** Federation between warrens: the gateway's server and a node's link to it. Knows no rooms. */
export { ServerMachine } from "./protocol/index.ts";
