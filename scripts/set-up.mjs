// npm run setup: what `npm start` does before it starts. `warren update` runs it after the new version came.
import { buildWeb, bundleProgram, install } from "./setup.mjs";

install();
buildWeb();
bundleProgram();
