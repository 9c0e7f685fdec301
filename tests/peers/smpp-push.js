// How fast the message centre of the tests takes texts: pushes COUNT of them to PORT with WINDOW under way, and prints
// how many it had answered a second. No part of ours but the far end: the limit that the bench measures us by.
"use strict";
const smpp = require("smpp");
const [port, count, window] = process.argv.slice(2).map(Number);
const session = smpp.connect({ url: `smpp://127.0.0.1:${port}` }, () => {
  session.bind_transceiver({ system_id: "ekbyn", password: "hemligt1" }, () => {
    const begun = process.hrtime.bigint();
    let sent = 0;
    let answered = 0;
    const next = () => {
      if (sent >= count) return;
      const number = String(46701000000 + sent++);
      session.submit_sm({ destination_addr: number, short_message: "Nr 1. Str\u00f6mmen \u00e4r borta." }, () => {
        if (++answered === count) {
          const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
          process.stdout.write(`${count / seconds}\n`, () => process.exit(0));
        }
        next();
      });
    };
    for (let i = 0; i < window; i++) next();
  });
});
session.on("error", (error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
