// SPDX-License-Identifier: GPL-2.0-only
// Draws what /events says: a graph for each cluster. A click asks for the log of a node, or for the packets of a link.
"use strict";

const token = document.body.dataset.token;
const SVG = "http://www.w3.org/2000/svg";
const NODE = { width: 108, narrow: 88, height: 58 };
// A picture that is narrower has narrow nodes.
const NARROW = 500;
// So many pixels above its end the panel is at its end.
const AT_END = 4;
// As long as nothing else is chosen the panel asks no sooner again.
const AGAIN_MS = 1000;
// Worst last.
const STATES = ["ok", "slow", "sync", "off", "cut"];
let latest = null;
let chosen = null;
// What the panel waits for, and when it asked last, in milliseconds.
let pending = null;
let asked_ms = 0;
let drawn = "";

const url = (path, values = {}) => path + "?" + new URLSearchParams({ token, ...values });

function svg(name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

// What is between two nodes, from what both say of it.
function linkOf(a, b, broken) {
  const link = { a: a.name, b: b.name, state: "ok", label: "", known: false };
  const worse = (state, label) => {
    if (STATES.indexOf(state) > STATES.indexOf(link.state)) Object.assign(link, { state, label });
  };
  for (const [node, other] of [[a, b], [b, a]]) {
    for (const resource of node.resources) {
      for (const peer of resource.peers.filter((peer) => peer.name === other.name)) {
        link.known = true;
        if (peer.connection !== "Connected") { worse("off", peer.connection); continue; }
        for (const volume of peer.volumes) {
          if (!["Established", "Off", "SyncSource", "SyncTarget"].includes(volume.replication)) worse("sync", volume.replication);
        }
      }
    }
    for (const resync of node.resyncs.filter((of) => of.peer === other.name && /Sync/.test(of.state))) {
      const done = resync.done_percent === null ? "" : ` ${resync.done_percent.toFixed(0)} %`;
      const arrow = /Source/.test(resync.state) ? `${node.name} → ${other.name}` : `${other.name} → ${node.name}`;
      worse("sync", `${arrow}${done}`);
    }
  }
  const dead = [a, b].find((node) => node.pid === null);
  if (dead && link.known) Object.assign(link, { state: "off", label: `${dead.name} is dead` });
  if (broken) {
    link.known = true;
    if (broken.cut) worse("cut", "cut");
    const words = [];
    if (broken.delay_us) words.push(`${broken.delay_us / 1000} ms late`);
    if (broken.rate_bits) words.push(`${broken.rate_bits / 1e6} Mbit/s`);
    if (broken.loss_percent) words.push(`${broken.loss_percent} % lost`);
    if (words.length) worse("slow", words.join(", "));
  }
  return link;
}

function stateOf(node) {
  if (node.pid === null) return { kind: "dead", more: ["dead"] };
  if (node.error) return { kind: "bad", more: ["does not answer"] };
  const roles = new Set(node.resources.map((of) => of.role));
  const disks = [...new Set(node.resources.flatMap((of) => of.volumes.map((v) => v.disk)))];
  const isGood = (disk) => disk === "UpToDate" || disk === "Diskless";
  const isFine = disks.every(isGood);
  // Of several the one that is not well.
  disks.sort((a, b) => isGood(a) - isGood(b));
  const role = roles.has("Primary") ? "Primary" : roles.size ? "Secondary" : "no resource";
  return { kind: (isFine ? "" : "bad") + (role === "Primary" ? " primary" : ""), more: [role, disks[0] ?? ""] };
}

function clusters(look) {
  const all = new Map();
  for (const node of look.nodes) {
    const key = node.cluster ?? "";
    if (!all.has(key)) all.set(key, []);
    all.get(key).push(node);
  }
  return [...all].map(([name, nodes]) => {
    const broken = look.links.filter((link) => link.cluster === name);
    const links = [];
    nodes.forEach((a, at) => nodes.slice(at + 1).forEach((b) => {
      const of = broken.find((link) => link.between.includes(a.name) && link.between.includes(b.name));
      const link = linkOf(a, b, of);
      if (link.known) links.push(link);
    }));
    return { name, nodes, links };
  });
}

function isChosen(kind, cluster, ...names) {
  return chosen && chosen.kind === kind && chosen.cluster === cluster && names.every((name, at) => chosen.names[at] === name);
}

function clickable(group, kind, cluster, names, label) {
  group.setAttribute("tabindex", "0");
  group.setAttribute("role", "button");
  group.setAttribute("aria-label", label);
  group.dataset.key = [kind, cluster, ...names].join(" ");
  const choose = () => { chosen = { kind, cluster, names }; draw(); show(true); };
  group.addEventListener("click", choose);
  group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } });
}

function drawCluster(cluster, width) {
  const box = document.createElement("div");
  const says = document.createElement("p");
  const versions = [...new Set(cluster.nodes.map((node) => node.driver).filter(Boolean))];
  says.textContent = (cluster.name === "" ? "Nodes that stand alone" : `Cluster ${cluster.name}`) + (versions.length ? `, DRBD ${versions.join(" and ")}` : "");
  box.append(says);
  const count = cluster.nodes.length;
  const height = count < 3 ? 190 : Math.max(Math.min(width * 0.95, 560), 340);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height });
  const wide = width < NARROW ? NODE.narrow : NODE.width;
  const [rx, ry] = [(width - wide) / 2 - 6, count < 3 ? 0 : (height - NODE.height) / 2 - 6];
  const place = new Map(cluster.nodes.map((node, at) => {
    const angle = 2 * Math.PI * at / count + (count === 2 ? Math.PI : -Math.PI / 2);
    return [node.name, count === 1 ? [width / 2, height / 2] : [width / 2 + rx * Math.cos(angle), height / 2 + ry * Math.sin(angle)]];
  }));
  // What is wrong lies above what is not, and labels above everything.
  const links = [...cluster.links].sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state));
  const labels = [];
  for (const link of links) {
    const [[x1, y1], [x2, y2]] = [place.get(link.a), place.get(link.b)];
    const group = svg("g", { class: `link ${link.state}` + (isChosen("link", cluster.name, link.a, link.b) ? " chosen" : "") });
    clickable(group, "link", cluster.name, [link.a, link.b], `Link ${link.a} ${link.b}: ${link.label || "in sync"}`);
    group.append(svg("line", { class: "wire", x1, y1, x2, y2 }), svg("line", { class: "hit", x1, y1, x2, y2 }));
    picture.append(group);
    if (link.label) {
      const [x, y, long] = [(x1 + x2) / 2, (y1 + y2) / 2, link.label.length * 7.2 + 14];
      const label = svg("g", { class: "label" });
      label.append(svg("rect", { x: x - long / 2, y: y - 12, width: long, height: 24 }), svg("text", { x, y: y + 4.5 }, link.label));
      const above = svg("g", { class: group.getAttribute("class") });
      above.append(label);
      above.addEventListener("click", () => group.dispatchEvent(new Event("click")));
      labels.push(above);
    }
  }
  for (const node of cluster.nodes) {
    const [x, y] = place.get(node.name);
    const state = stateOf(node);
    const group = svg("g", { class: `node ${state.kind}` + (isChosen("node", cluster.name, node.name) ? " chosen" : "") });
    clickable(group, "node", cluster.name, [node.name], `Node ${node.name}: ${state.more.join(", ")}`);
    group.append(svg("rect", { x: x - wide / 2, y: y - NODE.height / 2, width: wide, height: NODE.height }));
    group.append(svg("text", { class: "name", x, y: y - 11 }, node.name));
    state.more.forEach((text, at) => group.append(svg("text", { class: "more", x, y: y + 6 + 15 * at }, text)));
    picture.append(group);
  }
  picture.append(...labels);
  box.append(picture);
  return box;
}

function draw() {
  if (!latest) return;
  const into = document.getElementById("clusters");
  const width = Math.max(into.clientWidth - (window.innerWidth > 800 ? 28 : 15), 280);
  const all = clusters(latest);
  // What looks the same stays, so what is focused and what moves stay too.
  const looks = JSON.stringify([all.map((c) => [c.name, c.links, c.nodes.map((n) => [n.name, n.driver, stateOf(n)])]), width, chosen]);
  if (looks === drawn) return;
  drawn = looks;
  const focused = document.activeElement?.dataset?.key;
  into.replaceChildren(...all.map((cluster) => drawCluster(cluster, width)));
  if (!all.length) into.textContent = "No node runs. Make some: umc cluster up";
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

// The panel: of a link it goes on with what arrives.
async function show(isNew) {
  if (!chosen) return;
  const asked = chosen;
  // What is under way is shown before more is asked for.
  if (pending === asked || (!isNew && performance.now() - asked_ms < AGAIN_MS)) return;
  pending = asked;
  asked_ms = performance.now();
  const [title, text] = ["panel-title", "panel-text"].map((id) => document.getElementById(id));
  const [a, b] = asked.names;
  const isLink = asked.kind === "link";
  const from = isLink ? url("/packets", { cluster: asked.cluster, a, b }) : url("/log", { cluster: asked.cluster, node: a });
  const answer = await fetch(from).catch(() => null);
  const body = await answer?.text().catch(() => null);
  if (pending === asked) pending = null;
  if (!answer || typeof body !== "string" || chosen !== asked) return;
  // Who reads further up is left there.
  const isAtEnd = isNew || text.scrollTop + text.clientHeight >= text.scrollHeight - AT_END;
  title.textContent = isLink ? `${a} — ${b}: what arrived last` : `${a}: kernel log`;
  if (!answer.ok || !isLink) {
    text.textContent = body;
  } else {
    const { packets, failed } = JSON.parse(body);
    const time = (us) => new Date(us / 1000).toISOString().slice(11, 23);
    const line = (one) => `${time(one.at_us)}  ${one.from} → ${one.to}  ${one.what}`;
    const lines = packets.map(line);
    if (!lines.length && !failed.length) lines.push("Nothing arrived since this page was opened.");
    text.textContent = [...lines, ...failed].join("\n");
  }
  if (isAtEnd) text.scrollTop = text.scrollHeight;
  if (isNew && window.innerWidth <= 800) document.getElementById("panel").scrollIntoView({ behavior: "smooth" });
}

function say(text, isBad) {
  const state = document.getElementById("state");
  state.textContent = text;
  state.classList.toggle("bad", isBad);
}

const events = new EventSource(url("/events"));
events.addEventListener("message", (event) => {
  latest = JSON.parse(event.data);
  const bad = clusters(latest).flatMap((c) => c.links).filter((link) => !["ok", "slow"].includes(link.state)).length;
  const dead = latest.nodes.filter((node) => node.pid === null).length;
  say(`${latest.nodes.length} nodes` + (dead ? `, ${dead} dead` : "") + (bad ? `, ${bad} links not in sync` : ", all in sync"), false);
  draw();
  show(false);
});
events.addEventListener("error", () => say("umc web does not answer: what is seen here is old", true));
window.addEventListener("resize", draw);
