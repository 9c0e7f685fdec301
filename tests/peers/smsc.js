// A message centre for the tests, made of the npm package smpp. It reads orders as JSON, a line each, from its standard
// input, and tells what it saw the same way. See broadcaster/testing/smsc.py.
"use strict";
const smpp = require("smpp");
const readline = require("readline");

const tell = (event, more) => process.stdout.write(JSON.stringify({ event, ...more }) + "\n");
let plan = [];
let standing = null;
let bindStatus = 0;
let password = null;
let ids = { base: 10, next: 1000 };
let receipts = { when: "never", base: 10, repeat: 1, stat: "DELIVRD" };
const sessions = new Set();

const hex = (bytes) => Buffer.from(bytes || []).toString("hex");

function textOf(sm) {
  return typeof sm === "string" ? sm : Buffer.isBuffer(sm) ? sm.toString("latin1") : (sm && sm.message) || "";
}

function report(session, id, pdu, stat) {
  const number = id.toString(receipts.base);
  const text = `id:${number} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:${stat} err:000 text:x`;
  const given = { source_addr: pdu.destination_addr, destination_addr: pdu.source_addr || "ekbyn", esm_class: 4 };
  session.deliver_sm({ ...given, short_message: { message: Buffer.from(text, "latin1") } }, (answer) =>
    tell("answered", { id, status: answer.command_status }),
  );
}

function submitted(session, pdu) {
  const fault = plan.length ? plan.shift() : standing;
  const sm = pdu.short_message;
  const seen = {
    to: pdu.destination_addr, to_ton: pdu.dest_addr_ton, source: pdu.source_addr, source_ton: pdu.source_addr_ton,
    esm_class: pdu.esm_class, coding: pdu.data_coding, validity: String(pdu.validity_period && pdu.validity_period.toISOString ? pdu.validity_period.toISOString() : pdu.validity_period), registered: pdu.registered_delivery,
    udh: sm && sm.udh ? hex(Buffer.concat([].concat(sm.udh))) : "", text: textOf(sm),
  };
  const doing = fault ? fault.do : "take";
  tell("arrived", { doing });
  if (doing === "status") return session.send(pdu.response({ command_status: fault.status }));
  if (doing === "silence") return undefined;
  if (doing === "drop") return session.destroy();
  const id = ids.next++;
  tell("submit", { ...seen, id });
  if (doing === "take and drop") return session.destroy();
  if (doing === "no id") return session.send(pdu.response({ message_id: "" }));
  const tellOf = () => {
    for (let i = 0; i < receipts.repeat; i++) report(session, id, pdu, receipts.stat);
  };
  if (receipts.when === "before") tellOf();
  session.send(pdu.response({ message_id: id.toString(ids.base) }));
  if (receipts.when === "after") tellOf();
  return undefined;
}

const server = smpp.createServer({}, (session) => {
  sessions.add(session);
  session.on("error", () => undefined);
  session.on("close", () => {
    sessions.delete(session);
    tell("closed", {});
  });
  for (const way of ["bind_transceiver", "bind_transmitter", "bind_receiver"])
    session.on(way, (pdu) => {
      const wrong = password !== null && pdu.password !== password ? 0x0e : bindStatus;
      tell("bind", { way, system_id: pdu.system_id, system_type: pdu.system_type, status: wrong });
      session.send(pdu.response(wrong ? { command_status: wrong } : { system_id: "smsc" }));
      session.bound = !wrong;
    });
  session.on("submit_sm", (pdu) => submitted(session, pdu));
  session.on("enquire_link", (pdu) => {
    tell("enquire", {});
    session.send(pdu.response());
  });
  session.on("enquire_link_resp", () => tell("alive", {}));
  session.on("unbind", (pdu) => {
    tell("unbind", {});
    session.send(pdu.response());
    session.close();
  });
});

const orders = {
  plan: (faults) => plan.push(...faults),
  standing: (fault) => (standing = fault),
  bind: (status) => (bindStatus = status),
  password: (word) => (password = word),
  ids: (given) => Object.assign(ids, given),
  receipts: (given) => Object.assign(receipts, given),
  report: ({ id, to, stat }) => {
    for (const session of sessions) if (session.bound) return report(session, id, { destination_addr: to }, stat);
    return tell("nobody", {});
  },
  texted: (given) => {
    for (const session of sessions)
      if (session.bound)
        session.deliver_sm(
          { source_addr: given.from, destination_addr: "71120", esm_class: given.esm || 0, data_coding: given.coding, short_message: Buffer.from(given.octets, "hex") },
          (answer) => tell("answered", { status: answer.command_status }),
        );
  },
  enquire: () => sessions.forEach((session) => session.enquire_link()),
  garbage: () => sessions.forEach((session) => session.socket.write(Buffer.from("ffffffff00000004", "hex"))),
  odd: () => sessions.forEach((session) => session.socket.write(Buffer.from("000000100000777700000000000000aa", "hex"))),
  drop: () => sessions.forEach((session) => session.destroy()),
  unbind: () => sessions.forEach((session) => session.unbind()),
  reset: () => {
    plan = [];
    standing = null;
    bindStatus = 0;
    password = null;
    ids = { base: 10, next: 1000 };
    receipts = { when: "never", base: 10, repeat: 1, stat: "DELIVRD" };
    sessions.forEach((session) => session.destroy());
  },
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  for (const [order, given] of Object.entries(JSON.parse(line))) orders[order](given);
  tell("done", {});
});
process.stdin.on("end", () => process.exit(0));
server.listen(Number(process.argv[2] || 0), "127.0.0.1", () => tell("listening", { port: server.address().port }));
