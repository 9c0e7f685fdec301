// A personal data server of the AT Protocol, as Bluesky runs it, for the tests. It keeps all in the folder it is given, knows
// nobody beyond this machine, and ends with who started it. See broadcaster/testing/pds.py.
"use strict";
const { randomBytes } = require("node:crypto");
const path = require("node:path");
const { PDS, envToCfg, envToSecrets } = require("@atproto/pds");
const directory = require("@did-plc/server");

const [folder, port, directoryPort, adminPassword, jwtSecret, limits] = process.argv.slice(2);

async function serve() {
  const accounts = directory.PlcServer.create({ db: directory.Database.mock(), port: Number(directoryPort) });
  await accounts.start();
  const given = {
    devMode: true,
    port: Number(port),
    hostname: "localhost",
    dataDirectory: folder,
    blobstoreDiskLocation: path.join(folder, "blobs"),
    adminPassword,
    jwtSecret,
    serviceHandleDomains: [".test"],
    inviteRequired: false,
    didPlcUrl: `http://localhost:${directoryPort}`,
    plcRotationKeyK256PrivateKeyHex: randomBytes(32).toString("hex"),
    bskyAppViewUrl: "https://appview.invalid",
    bskyAppViewDid: "did:example:invalid",
    rateLimitsEnabled: limits === "limits",
  };
  const pds = await PDS.create(envToCfg(given), envToSecrets(given));
  await pds.start();
  process.stdout.write("listening\n");
}

const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(0), 1000);
serve().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
