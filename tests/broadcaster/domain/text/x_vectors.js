// Makes x_vectors.json: texts and their length on X by X's own library.
// npm install twitter-text@3.1.0 && node x_vectors.js > x_vectors.json
// (Lengths above come from its `parseTweet(text).weightedLength`, configuration version 3.)
const twitter = require("twitter-text");

let seed = 20261122;
const random = (n) => {
  // mulberry32: the same texts on every run
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
};

const emoji = [..."⚡⚠❄🔥🚨😀🫠☎❤✅🏠💡"].concat([
  "👨‍👩‍👧‍👦", "👩🏽‍🚒", "🏳️‍🌈", "🇸🇪", "🇳🇴", "🇫🇮", "👍🏿", "1️⃣", "#️⃣", "❤️", "⚠️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "©️", "™️", "👩‍❤️‍👩", "👩‍🔧", "🕵️‍♀️",
]);
const words = [
  "Strömavbrott", "i", "Norra", "Ekbyn", "sedan", "14.05.", "å", "Ä", "ö", "é", "e\u0301", "a\u030a", "–", "—", "“citat”",
  "…", "→", "•", "€", "Kárášjohka", "čđŋšŧž", "日本語", "Привет", "مرحبا", "ไทย", "한국어", "§", "½", "©", "®", "™", "\n", "\n\n",
  "kl.14.45", "Slut.Nästa", "500", "kr.", "@ekbyn", "#strömavbrott", "(1/3)", "info@ekbyn.se", "x\u200bx", "\u00a0", "\u2028",
  "\u0e33", "a\u2010b", "\u2018", "\u2032", "\u2035", "\u2042", "\u1100", "\u10ff",
];
const links = [
  "ekbyn.se", "ekbyn.se/a7", "ekbyn.example/a7", "https://drift.ekbyn.example/a7", "https://drift.ekbyn.se/a7.",
  "http://ekbyn.se/avbrott_(norra)", "(https://ekbyn.se/a)", "https://ekbyn.se?x=1&y=å", "https://ekbyn.se/?q=1!", "strömavbrott.nu",
  "https://strömavbrott.nu/läget", "www.ekbyn.se:8080/a", "-ekbyn.se", "/ekbyn.se", "x.ekbyn.se", "ekbyn.se-", "ekbyn.se1", "ekbyn.seå",
  "https://a_b.ekbyn.se", "https://a_b.se", "ekbyn.co.uk/", "xn--strmavbrott-ecb.nu", "https://рф.рф/путь", "ekbyn.se,tel.nr", "HTTPS://EKBYN.SE/A",
  "https://ekbyn.se/a/b-c_d~e;f=g,h|i'j*k", "https://" + "a".repeat(70) + ".se", "日本語.jp", "日本語ekbyn.se", "https://日本語.jp/a", "\"ekbyn.se\"",
];
const pools = [words, words, words, emoji, links];
const made = (n) =>
  Array.from({ length: n }, () => {
    const pool = pools[random(pools.length)];
    return pool[random(pool.length)] + ["", " ", " ", " "][random(4)];
  }).join("");

const texts = [...words, ...emoji, ...links, ...Array.from({ length: 3000 }, () => made(1 + random(12)))];
const vectors = [...new Set(texts)].map((text) => [text, twitter.parseTweet(text).weightedLength]);
process.stdout.write(
  `{"made": "by x_vectors.js with npm twitter-text 3.1.0",\n "vectors": [\n` +
    vectors.map((vector) => JSON.stringify(vector)).join(",\n") + "\n]}\n",
);
