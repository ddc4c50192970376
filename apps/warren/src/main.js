#!/usr/bin/env node
// What a user starts: the program's bundle, or its sources where there is none, or one that is older than they are.
import { bundleIsFresh, bundleUrl } from "./bundle.js";

await import(bundleIsFresh() ? bundleUrl.href : "./program.js");
