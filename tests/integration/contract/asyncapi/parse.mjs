// Prints each diagnostic of a document on a line, and at last the version that the parser took it for.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const { severity, code, path, message } of diagnostics) console.log(severity, code, path.join("."), message);
console.log(document ? document.version() : "no document");
