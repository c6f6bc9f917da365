// Holds a template against AWS's offline validator (npm
// @aws/cloudformation-validate, pinned in tools/engines/package.json) and
// prints its diagnostics as JSON. Usage: node validate.mjs NODE_MODULES TEMPLATE
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [modules, template] = process.argv.slice(2);
const require = createRequire(resolve(modules, "x.js"));
const { RegoEngine, TemplateFile } = require("@aws/cloudformation-validate");
const engine = new RegoEngine();
try {
  const report = engine.validateStandard(new TemplateFile(template));
  console.log(JSON.stringify(report.diagnostics));
} finally {
  engine.free();
}
