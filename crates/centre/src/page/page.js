// What moves the page: the API's stream, and a look at its lists where that says that something changed.
//
// Values are put in as text and never as markup; rows are copies of the server's own, from its templates. When nothing was
// heard for some seconds the page says so, loudly: an old picture that looks live is worse than none.
'use strict';

const STATUS_EVERY_MS = 5000;
const STALE_AFTER_MS = 12000;
const ASK_AGAIN_MS = 1000;
const SEEN_MS = 10 * 60 * 1000;
const TEXT_CHARS_MAX = 300;
const QUEUE_MAX = 200;

const $ = (id) => document.getElementById(id);
const pad = (number) => String(number).padStart(2, '0');

// How far the centre's clock is ahead of this machine's, which may be wrong.
let skew = 0;
const now = () => Date.now() + skew;

function shown(value) {
  if (value === null || value === undefined) return '–';
  const chars = Array.from(String(value).slice(0, 2 * TEXT_CHARS_MAX));
  const cut = chars.length > TEXT_CHARS_MAX;
  const text = chars.slice(0, TEXT_CHARS_MAX).join('')
    .replace(/[\p{Cc}\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
  return cut ? `${text}…` : text;
}

function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function rate(value) {
  if (value < 0.005) return '0';
  return value < 10 ? value.toFixed(2) : value.toFixed(0);
}

function clock(ms) {
  const time = new Date(ms);
  return `${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}:${pad(time.getUTCSeconds())}`;
}

function moment(text) {
  const today = new Date(now()).toISOString().slice(0, 10);
  if (text.startsWith(today)) return text.slice(11, 19);
  return text.startsWith(today.slice(0, 4)) ? `${text.slice(5, 10)} ${text.slice(11, 19)}` : `${text.slice(0, 10)} ${text.slice(11, 16)}`;
}

function age(text) {
  const at = Date.parse(text);
  return Number.isNaN(at) ? 'unknown' : span(Math.max(0, (now() - at) / 1000));
}

function put(node, name, text, title) {
  const part = node.querySelector(`[data-f="${name}"]`);
  if (part.textContent !== text) part.textContent = text;
  if (title) part.title = text;
  return part;
}

// Puts rows in this order, and leaves them alone where they are in it: what the keyboard is at would lose it.
function arrange(place, rows) {
  if (rows.length !== place.children.length || rows.some((row, at) => place.children[at] !== row)) place.replaceChildren(...rows);
}

const rowsOf = (place) => new Map(Array.from(place.children, (row) => [row.dataset.id, row]));

const copied = (template, what) => $(template).content.querySelector(what).cloneNode(true);

// Colours

function theme() {
  const root = document.documentElement;
  let kept = null;
  try { kept = localStorage.getItem('theme'); } catch { /* It may not be kept: the system's holds. */ }
  if (kept === 'dark' || kept === 'light') root.dataset.theme = kept;
  return () => root.dataset.theme || (matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark');
}
const themeNow = theme();

function themeSwitch() {
  const button = $('theme');
  if (!button) return;
  const say = () => { button.textContent = themeNow() === 'dark' ? 'Light' : 'Dark'; };
  button.hidden = false;
  button.addEventListener('click', () => {
    const next = themeNow() === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem('theme', next); } catch { /* It holds until the page is left. */ }
    say();
  });
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', say);
  say();
}

// Whether what is shown is how it is

// The stream is heard and the lists are answered apart: something on the way may hold back the one and not the other.
const heard = { stream: Date.now(), answer: Date.now(), open: false, since: Date.now(), signedOut: false };

function hear(what) { heard[what] = Date.now(); }

function tick() {
  const clockNode = $('clock');
  if (clockNode) clockNode.textContent = clock(now());
  if (!$('live')) return;
  const last = Math.min(heard.stream, heard.answer);
  const quiet = Date.now() - last;
  const broken = heard.signedOut || quiet > STALE_AFTER_MS || (!heard.open && Date.now() - heard.since > 3000);
  $('live').className = `live ${broken ? 'off' : heard.open ? 'on' : ''}`;
  $('live-said').textContent = broken ? 'Not live' : heard.open ? `Live, heard ${span(quiet / 1000)} ago` : 'Connecting';
  document.body.classList.toggle('is-stale', broken);
  if (broken) sayStale(last);
  $('stale').hidden = !broken;
}

// Said once, and not each second: it is read aloud.
function sayStale(last) {
  const why = $('stale-why');
  const says = heard.signedOut ? 'You are signed out. ' :
    `The centre was last heard at ${clock(last + skew)} UTC. What is shown is from then.`;
  if (why.dataset.says === says) return;
  why.dataset.says = says;
  why.textContent = says;
  if (!heard.signedOut) return;
  const again = document.createElement('a');
  const incident = document.querySelector('main').dataset.incident;
  again.href = incident ? `/sign-in?incident=${incident}` : '/sign-in';
  again.textContent = 'Sign in';
  why.append(again);
}

async function ask(path) {
  const answer = await fetch(path, { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(8000) });
  if (answer.status === 401) heard.signedOut = true;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  hear('answer');
  return answer.json();
}

// Runs a look at the lists at most once a second, and once more where it was asked for meanwhile.
function throttled(look) {
  let running = false;
  let wanted = false;
  return async function run() {
    if (running) { wanted = true; return; }
    running = true;
    wanted = false;
    try { await look(); } catch { /* That nothing is heard shows by itself. */ }
    setTimeout(() => { running = false; if (wanted) run(); }, ASK_AGAIN_MS);
  };
}

// Incidents and the map

const limits = {};
const known = new Map();

function fillIncident(row, item) {
  row.className = item.priority.toLowerCase();
  row.dataset.id = item.id;
  put(row, 'priority', item.priority);
  put(row, 'title', shown(item.title), true).href = `/incidents/${item.id}`;
  const more = item.hosts_more > 0 ? ` and ${item.hosts_more} more` : '';
  put(row, 'hosts', item.hosts.map(shown).join(', ') + more);
  put(row, 'state', item.state);
  put(row, 'owner', shown(item.owner));
  put(row, 'detections', String(item.detections));
  put(row, 'age', age(item.aware_at)).dateTime = item.aware_at;
  const strip = row.querySelector('.strip');
  strip.setAttribute('aria-label', item.tactics.join(', '));
  strip.querySelector('title').textContent = item.tactics.join(', ');
  strip.querySelectorAll('rect').forEach((cell) => cell.classList.toggle('on', item.tactics.includes(cell.dataset.tactic)));
}

// How many incidents of a priority there are, as far as is known from those that are listed.
function tally(list, priority) {
  const count = list.items.filter((item) => item.priority === priority).length;
  const last = list.next === null ? null : list.items[list.items.length - 1].priority;
  if (last === null || priority < last) return String(count);
  return priority === last ? `${count}+` : '–';
}

function showIncidents(list) {
  const body = $('incidents');
  const rows = rowsOf(body);
  const ordered = list.items.map((item) => {
    const said = JSON.stringify(item);
    let row = rows.get(item.id);
    const isNew = !row;
    if (isNew) row = copied('t-incident', 'tr');
    if (known.get(item.id) !== said) {
      fillIncident(row, item);
      if (isNew || known.has(item.id)) fresh(row);
      known.set(item.id, said);
    }
    return row;
  });
  arrange(body, ordered);
  for (const id of known.keys()) if (!list.items.some((item) => item.id === id)) known.delete(id);
  for (const part of document.querySelectorAll('[data-tally]')) {
    part.textContent = tally(list, part.dataset.tally);
    part.classList.toggle('none', part.textContent === '0');
  }
  $('no-incidents').hidden = list.items.length > 0;
  $('more').hidden = list.next === null;
  showMap(list.items);
}

function fresh(row) {
  row.classList.remove('fresh');
  void row.offsetWidth;
  row.classList.add('fresh');
}

function showMap(items) {
  for (const part of document.querySelectorAll('text[data-tactic]')) {
    const count = items.filter((item) => item.tactics.includes(part.dataset.tactic)).length;
    part.textContent = count;
    part.classList.toggle('none', count === 0);
  }
  const lanes = rowsOf($('lanes'));
  arrange($('lanes'), items.slice(0, limits.lanesMax).map((item, at) => {
    const lane = lanes.get(item.id) ?? copied('t-lane', 'a');
    lane.setAttribute('class', `lane ${item.priority.toLowerCase()}`);
    lane.setAttribute('href', `/incidents/${item.id}`);
    lane.setAttribute('transform', `translate(${172 + at * 15} 0)`);
    lane.dataset.id = item.id;
    lane.querySelector('.head').textContent = item.priority.slice(1);
    lane.querySelector('title').textContent = `${item.priority} ${shown(item.title)}`;
    lane.querySelectorAll('circle').forEach((dot) => dot.classList.toggle('on', item.tactics.includes(dot.dataset.tactic)));
    const on = lane.querySelectorAll('circle.on');
    const path = lane.querySelector('.path');
    if (on.length > 0) {
      path.setAttribute('y1', on[0].getAttribute('cy'));
      path.setAttribute('y2', on[on.length - 1].getAttribute('cy'));
    }
    return lane;
  }));
}

// Marks an incident in the list and in the map, wherever it is pointed at.
function light(event) {
  const one = event.target.closest?.('tr[data-id], .lane');
  const id = one && one.closest('.incidents, .map') ? one.dataset.id : null;
  for (const part of document.querySelectorAll('.incidents tr[data-id], .lane')) {
    part.classList.toggle('lit', id !== null && part.dataset.id === id);
  }
}

const lookAtIncidents = throttled(async () => {
  showIncidents(await ask(`/api/v1/incidents?state=open&order=priority&limit=${limits.incidentsMax}`));
});

// Detections

let waiting = [];
let recent = [];

function fillDetection(row, item) {
  row.className = item.level;
  row.dataset.id = item.id;
  const time = put(row, 'time', moment(item.time));
  time.dateTime = item.time;
  time.title = `arrived ${item.arrived}`;
  put(row, 'level', item.level);
  const title = put(row, 'title', shown(item.title), true);
  if (item.incident) title.href = `/incidents/${item.incident}`;
  put(row, 'host', shown(item.host), true);
  put(row, 'user', shown(item.user), true);
}

// The newest of those that are known, by the stream and by the list: the two overlap.
function showDetections() {
  const body = $('detections');
  const known = new Map([...recent, ...waiting].map((item) => [item.id, item]));
  waiting = [];
  recent = [...known.values()].sort((a, b) => b.seq - a.seq).slice(0, limits.detectionsMax);
  const rows = rowsOf(body);
  const shownRows = recent.map((item) => {
    if (rows.has(item.id)) return rows.get(item.id);
    const row = copied('t-detection', 'tr');
    fillDetection(row, item);
    row.classList.add('fresh');
    return row;
  });
  // Those that came with the page are older, or known by now.
  const others = Array.from(body.rows).filter((row) => !known.has(row.dataset.id));
  arrange(body, [...shownRows, ...others].slice(0, limits.detectionsMax));
  $('no-detections').hidden = body.rows.length > 0;
}

const lookAtDetections = throttled(async () => {
  const list = await ask(`/api/v1/detections?limit=${limits.detectionsMax}`);
  waiting.push(...list.items);
  showDetections();
});

function detected(item) {
  if (waiting.length === 0) setTimeout(showDetections, 200);
  waiting.push(item);
  if (waiting.length > QUEUE_MAX) waiting.splice(0, waiting.length - QUEUE_MAX);
}

// Sources, figures, charts

function isSilent(source) {
  return limits.silentAfter > 0 && !source.name.startsWith('cresset:') && source.silent_seconds !== null &&
    source.silent_seconds >= limits.silentAfter;
}

function showSources(items) {
  const weight = (source) => (isSilent(source) ? 2 : 0) + (source.lost + source.skipped > 0 ? 1 : 0);
  const silent = items.filter(isSilent).length;
  items.sort((a, b) => weight(b) - weight(a) || b.rate - a.rate);
  const body = $('sources');
  const shownItems = items.slice(0, limits.sourcesMax);
  while (body.rows.length < shownItems.length) body.append(copied('t-source', 'tr'));
  while (body.rows.length > shownItems.length) body.lastElementChild.remove();
  shownItems.forEach((source, at) => {
    const row = body.rows[at];
    row.classList.toggle('silent', isSilent(source));
    put(row, 'name', shown(source.name), true);
    put(row, 'rate', rate(source.rate));
    put(row, 'heard', source.silent_seconds === null ? 'never' : span(source.silent_seconds));
    put(row, 'lost', String(source.lost)).classList.toggle('bad', source.lost > 0);
    put(row, 'skipped', String(source.skipped)).classList.toggle('bad', source.skipped > 0);
  });
  $('sources-count').textContent = items.length;
  $('sources-silent').textContent = `${silent} silent`;
  $('sources-silent').hidden = silent === 0;
  $('no-sources').hidden = items.length > 0;
}

let seen = [];

function keepSeen(status) {
  seen.push({ at: Date.now(), rate: status.rate, detections: status.detections });
  seen = seen.filter((point) => Date.now() - point.at < SEEN_MS);
  try { sessionStorage.setItem('seen', JSON.stringify(seen)); } catch { /* It begins anew with the next page. */ }
}

function draw(id, points, text) {
  const most = Math.max(...points.map((point) => point.value), 0);
  const end = Date.now();
  const line = points.map((point) => {
    const x = 300 * (1 - (end - point.at) / SEEN_MS);
    const y = 59 - 55 * (most > 0 ? point.value / most : 0);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const chart = $(id);
  chart.querySelector('polyline').setAttribute('points', line.join(' '));
  const area = line.length > 1 ? [`${line[0].split(',')[0]},59`, ...line, `${line[line.length - 1].split(',')[0]},59`] : [];
  chart.querySelector('polygon').setAttribute('points', area.join(' '));
  $(`${id}-now`).textContent = points.length > 0 ? text(points[points.length - 1].value) : '–';
  $(`${id}-most`).textContent = points.length > 1 ? `at most ${text(most)}` : '';
}

function drawCharts() {
  draw('chart-events', seen.map((point) => ({ at: point.at, value: point.rate })), rate);
  const found = [];
  for (let at = 1; at < seen.length; at += 1) {
    const minutes = (seen[at].at - seen[at - 1].at) / 60000;
    // A centre that was started again counts from zero.
    const count = Math.max(0, seen[at].detections - seen[at - 1].detections);
    if (minutes > 0) found.push({ at: seen[at].at, value: count / minutes });
  }
  draw('chart-detections', found, rate);
}

// Put in anew only where they are others: they are read aloud.
function showTroubles(troubles) {
  const place = $('troubles');
  if (Array.from(place.children, (line) => line.textContent).join('\n') === troubles.join('\n')) return;
  place.replaceChildren(...troubles.map((trouble) => {
    const line = document.createElement('p');
    line.textContent = trouble;
    return line;
  }));
  place.hidden = troubles.length === 0;
}

function showStatus(status) {
  skew = Date.parse(status.now) - Date.now();
  $('f-rate').textContent = rate(status.rate);
  for (const name of ['detections', 'withheld', 'rules', 'indicators']) $(`f-${name}`).textContent = status[name];
  $('f-refused').textContent = status.rules_refused.length;
  $('f-refused').parentElement.hidden = status.rules_refused.length === 0;
  showTroubles(status.troubles.map(shown));
  keepSeen(status);
  drawCharts();
}

async function lookAtStatus() {
  try {
    const [status, sources] = await Promise.all([ask('/api/v1/status'), ask('/api/v1/sources')]);
    showStatus(status);
    showSources(sources.items);
    for (const part of document.querySelectorAll('time.age')) part.textContent = age(part.dateTime);
  } catch { /* That nothing is heard shows by itself. */ }
  if (!heard.signedOut) setTimeout(lookAtStatus, STATUS_EVERY_MS);
}

// The stream

function listen(on) {
  const stream = new EventSource('/api/v1/stream');
  stream.addEventListener('open', () => { heard.open = true; hear('stream'); on.open?.(); });
  stream.addEventListener('error', () => {
    if (heard.open) heard.since = Date.now();
    heard.open = false;
    // A browser gives up where it is answered with an error; the centre may be back in a moment.
    if (stream.readyState === EventSource.CLOSED && !heard.signedOut) setTimeout(() => listen(on), STATUS_EVERY_MS);
  });
  for (const name of ['detection', 'incident', 'merged', 'missed', 'alive']) {
    stream.addEventListener(name, (event) => { hear('stream'); on[name]?.(JSON.parse(event.data)); });
  }
  addEventListener('pagehide', () => stream.close());
}

function floor(main) {
  limits.silentAfter = Number(main.dataset.silentAfter);
  limits.incidentsMax = Number(main.dataset.incidentsMax);
  limits.detectionsMax = Number(main.dataset.detectionsMax);
  limits.lanesMax = Number(main.dataset.lanesMax);
  limits.sourcesMax = Number(main.dataset.sourcesMax);
  try { seen = JSON.parse(sessionStorage.getItem('seen')) || []; } catch { seen = []; }
  document.addEventListener('pointerover', light);
  document.addEventListener('focusin', light);
  listen({
    open: () => { lookAtDetections(); lookAtIncidents(); },
    detection: detected,
    incident: lookAtIncidents,
    merged: lookAtIncidents,
    missed: () => { lookAtDetections(); lookAtIncidents(); },
  });
  lookAtStatus();
}

// One incident

// Takes the parts that are live from the page as the server renders it now. What is being written or chosen stays, and so does
// the place where the keyboard is.
const lookAtIncident = throttled(async () => {
  const answer = await fetch(location.pathname, { headers: { accept: 'text/html' }, signal: AbortSignal.timeout(8000) });
  if (answer.redirected) heard.signedOut = true;
  if (!answer.ok || answer.redirected) return;
  hear('answer');
  const now = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const focused = document.activeElement?.id;
  const chosen = new Set(Array.from(document.querySelectorAll('.choose:checked'), (box) => box.value));
  for (const part of document.querySelectorAll('[data-live]')) {
    const other = now.getElementById(part.id);
    if (other && !part.isEqualNode(other)) part.replaceWith(document.importNode(other, true));
  }
  for (const box of document.querySelectorAll('.choose')) box.checked = chosen.has(box.value);
  if (document.querySelector('#facts .merged')) for (const forms of document.querySelectorAll('.acts')) forms.hidden = true;
  if (focused && document.activeElement?.id !== focused) $(focused)?.focus();
});

// What an act is known by when the same is sent again, because no answer came: it is done once.
function keyOf(form, body) {
  if (form.dataset.sent === body) return form.dataset.key;
  form.dataset.sent = body;
  form.dataset.key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return form.dataset.key;
}

async function act(event) {
  const form = event.target.closest('form[data-to]');
  if (!form) return;
  event.preventDefault();
  if (form.ariaBusy === 'true') return;
  form.ariaBusy = 'true';
  $('act-said').textContent = await refusal(form);
  form.ariaBusy = 'false';
}

// Sends what a form says, and returns the answer.
function send(form) {
  const given = Object.fromEntries(new FormData(form));
  if (given.file) return sendFile(form, given.file);
  if (form.dataset.act === 'split') given.detections = new FormData(form).getAll('detections');
  if (form.dataset.act === 'assign' && given.owner.trim() === '') given.owner = null;
  const body = JSON.stringify(given);
  return fetch(form.dataset.to, {
    method: 'POST', headers: { 'content-type': 'application/json', 'idempotency-key': keyOf(form, body) },
    body, signal: AbortSignal.timeout(30000),
  });
}

// The same with a file, which may be long in going: it shows how much of it went.
function sendFile(form, file) {
  const progress = form.querySelector('progress');
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.addEventListener('progress', (event) => { progress.max = event.total; progress.value = event.loaded; });
    request.addEventListener('load', () => resolve(new Response(request.response, { status: request.status })));
    request.addEventListener('error', reject);
    request.addEventListener('loadend', () => { progress.hidden = true; });
    request.open('POST', `${form.dataset.to}?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.setRequestHeader('idempotency-key', keyOf(form, `${file.name} ${file.size} ${file.lastModified}`));
    progress.hidden = false;
    request.send(file);
  });
}

// Does what a form says, and returns why it was not done, or nothing.
async function refusal(form) {
  let answer;
  try { answer = await send(form); } catch { return 'The centre did not answer. Sending it again does it once.'; }
  delete form.dataset.sent;
  if (answer.ok) {
    form.reset();
    lookAtIncident();
    return '';
  }
  const problem = await answer.json().catch(() => ({}));
  return shown(problem.detail || problem.title || `refused: ${answer.status}`);
}

async function hearCentre() {
  try { skew = Date.parse((await ask('/api/v1/status')).now) - Date.now(); } catch { /* That nothing is heard shows by itself. */ }
  if (!heard.signedOut) setTimeout(hearCentre, STATUS_EVERY_MS);
}

function incident(main) {
  const look = (item) => { if (item.id === main.dataset.incident) lookAtIncident(); };
  document.addEventListener('submit', act);
  listen({
    open: lookAtIncident,
    incident: look,
    merged: look,
    missed: lookAtIncident,
  });
  hearCentre();
}

addEventListener('DOMContentLoaded', () => {
  themeSwitch();
  const main = document.querySelector('main');
  if (main?.classList.contains('floor')) floor(main);
  if (main?.dataset.incident) incident(main);
  const copy = $('copy');
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener('click', async () => {
      await navigator.clipboard.writeText($('token-text').textContent);
      copy.textContent = 'Copied';
    });
  }
  tick();
  setInterval(tick, 1000);
});
