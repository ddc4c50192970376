import { buildWeb, install } from "./setup.mjs";

install();
buildWeb();
