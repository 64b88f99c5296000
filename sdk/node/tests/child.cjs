// A child of child_process.fork(): a process of its own, which sees what is on record.
const msb = require(process.env.MSB_NODE_PACKAGE);
msb.Sandbox.list().then((all) => process.send(all.map((s) => s.name)));
