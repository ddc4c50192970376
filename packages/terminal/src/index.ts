/** Terminals: tmux sessions over WebSocket. The stream's wire document and machines are behind the door `./protocol`. */
export { ViewerStream } from "./protocol/index.ts";
