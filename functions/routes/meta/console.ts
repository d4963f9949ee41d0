/**
 * The console: one page over the public API, for a first look without a client. It loads nothing from elsewhere; the key stays in the tab
 * (sessionStorage) and goes nowhere but to this origin. Everything from the API is set as text, never as HTML.
 */
import { page } from './pages.ts';

const STYLE = `main{display:grid;grid-template-columns:17rem 1fr;gap:1rem 2rem}header{grid-column:1/-1}h2{font-size:1.1rem;margin:1.2rem 0 .4rem}
input,select,textarea,button{font:inherit;padding:.35rem .5rem;border:1px solid var(--line);border-radius:6px;background:var(--soft);color:inherit;max-width:100%}
button{cursor:pointer}form{display:grid;gap:.4rem;margin:.4rem 0}.row{display:flex;flex-wrap:wrap;gap:.4rem;align-items:center}.row input{flex:1 1 10rem}
li button{display:block;width:100%;text-align:left;margin:.15rem 0}ul{list-style:none;margin:0;padding:0}[aria-current=true]{outline:2px solid currentColor}
#said{min-height:1.6em;white-space:pre-wrap}.bad{color:light-dark(#b00020,#ff8a80)}td:last-child{width:60%}progress{width:100%}
@media(max-width:50rem){main{display:block}}`;

/** As a browser runs it; the API's answers decide what there is to see. */
export const SCRIPT = String.raw`'use strict';
const $ = (id) => document.getElementById(id);
const el = (name, text, more) => Object.assign(document.createElement(name), text === undefined ? {} : { textContent: text }, more);
let chosen = null;

function say(text, bad) { $('said').textContent = text; $('said').className = bad ? 'bad' : ''; }

async function api(method, path, body) {
  const headers = { authorization: 'Bearer ' + $('key').value.trim() };
  if (body) headers['content-type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error((json.code ?? answer.status) + ': ' + (json.detail ?? answer.statusText));
  return json;
}

/** What a click began; its failure is told, and the button cannot be pressed twice meanwhile. */
function on(id, event, work) {
  $(id).addEventListener(event, async (e) => {
    e.preventDefault();
    const button = e.submitter;
    if (button) button.disabled = true;
    say('…');
    try { say((await work(e)) ?? ''); } catch (error) { say(error.message, true); } finally { if (button) button.disabled = false; }
  });
}

async function list() {
  const { data } = await api('GET', '/v1/classifiers?limit=100');
  $('classifiers').replaceChildren(...data.map((c) => {
    const button = el('button', c.name + ' · ' + c.modality, { type: 'button', title: c.id });
    button.setAttribute('aria-current', String(c.id === chosen?.id));
    button.addEventListener('click', () => choose(c.id).catch((error) => say(error.message, true)));
    const item = el('li'); item.append(button); return item;
  }));
  const jobs = await api('GET', '/v1/training/jobs?limit=10').catch(() => ({ data: [] }));
  $('jobs').replaceChildren(...jobs.data.map((j) => el('li', j.kind + ' · ' + j.status + (j.result?.decision ? ' · ' + j.result.decision : ''), { title: j.id })));
}

async function choose(id) {
  chosen = await api('GET', '/v1/classifiers/' + id);
  $('work').hidden = false;
  $('name').textContent = chosen.name;
  $('facts').textContent = chosen.id + ' · version ' + chosen.version + (chosen.model ? ' on ' + chosen.model : '');
  for (const [field, modality] of [['text', 'text'], ['file', 'image'], ['vector', 'vector']]) $(field).hidden = chosen.modality !== modality;
  $('vector').placeholder = 'JSON array of ' + chosen.dimension + ' numbers';
  $('labels').replaceChildren(...chosen.labels.map((l) => {
    const row = el('tr'); row.append(el('td', l.name), el('td', String(l.examples))); return row;
  }));
  $('known').replaceChildren(...chosen.labels.map((l) => el('option', undefined, { value: l.name })));
  $('scores').replaceChildren();
  for (const button of $('classifiers').querySelectorAll('button')) button.setAttribute('aria-current', String(button.title === id));
}

const base64 = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => failed(reader.error);
  reader.readAsDataURL(file);
});

async function inputs() {
  if (chosen.modality === 'text') return [{ text: $('text').value }];
  if (chosen.modality === 'vector') return [{ vector: JSON.parse($('vector').value) }];
  if ($('file').files.length === 0) throw new Error('Choose a picture first.');
  return await Promise.all([...$('file').files].map(async (file) => ({ image: await base64(file) })));
}

function show(p) {
  const head = el('tr');
  const said = p.unknown ? 'unknown' : p.labels ? p.labels.join(', ') : p.label;
  head.append(el('th', said), el('th', 'version ' + p.version + (p.nearest ? ' · nearest: ' + p.nearest.label + ' ' + p.nearest.similarity.toFixed(2) : '')));
  return [head, ...p.scores.map((s) => {
    const row = el('tr'); const cell = el('td');
    cell.append(el('progress', undefined, { max: 1, value: s.score }), ' ' + (100 * s.score).toFixed(1) + ' %');
    row.append(el('td', s.label), cell); return row;
  })];
}

on('enter', 'submit', async () => { sessionStorage.setItem('graft_key', $('key').value.trim()); await list(); });
on('make', 'submit', async () => {
  const labels = $('newlabels').value.split(',').map((name) => name.trim()).filter(Boolean).map((name) => ({ name }));
  const modality = $('modality').value;
  const made = await api('POST', '/v1/classifiers', { name: $('newname').value, modality, labels, ...(modality === 'vector' ? { dimension: Number($('dimension').value) } : {}) });
  await choose(made.id); await list();
  return 'Made ' + made.id + '.';
});
on('modality', 'change', async () => { $('dimension').hidden = $('modality').value !== 'vector'; });
on('ask', 'submit', async (e) => {
  const given = await inputs();
  const path = '/v1/classifiers/' + chosen.id;
  if (e.submitter.value === 'predict') {
    const { data } = await api('POST', path + '/predict', { inputs: given, min_version: chosen.version });
    $('scores').replaceChildren(...data.flatMap(show));
    return;
  }
  const names = $('label').value.split(',').map((name) => name.trim()).filter(Boolean);
  if (names.length === 0) throw new Error('Say which label it has.');
  const label = chosen.task === 'multi_label' ? { labels: names } : { label: $('label').value.trim() };
  const { data } = await api('POST', path + '/examples', { examples: given.map((input) => ({ ...input, ...label })) });
  await choose(chosen.id);
  return ['Learnt ' + data.length + '; version ' + chosen.version + '.', ...data.flatMap((x) => x.warnings.map((w) => w.detail))].join('\n');
});
$('key').value = sessionStorage.getItem('graft_key') ?? '';
if ($('key').value) list().catch((error) => say(error.message, true));
`;

export function consolePage(): string {
  return page(
    'Graft',
    `<header><h1>Graft</h1><p>Teach it your classes in a second, serve them at the edge, retrain on a GPU when it pays, and never ship a worse model.</p>
<p><a href="/docs">API reference</a> · <a href="/openapi.json">OpenAPI document</a> · <a href="/readyz">readiness</a></p>
<form id="enter" class="row"><label for="key">API key</label><input id="key" type="password" autocomplete="off" placeholder="graft_…" required><button>Enter</button></form>
<p id="said" role="status"></p></header>
<nav><h2>Classifiers</h2><ul id="classifiers"></ul>
<details><summary>Make one</summary><form id="make"><input id="newname" placeholder="Name" aria-label="Name" required maxlength="200">
<select id="modality" aria-label="Modality"><option>text</option><option>image</option><option>vector</option></select>
<input id="dimension" type="number" min="1" placeholder="Dimension" aria-label="Dimension" hidden>
<input id="newlabels" placeholder="Labels, with commas" aria-label="Labels"><button>Make</button></form></details>
<h2>Training jobs</h2><ul id="jobs"></ul></nav>
<section id="work" hidden><h2 id="name"></h2><p><code id="facts"></code></p>
<form id="ask"><textarea id="text" rows="4" aria-label="Text" placeholder="A text"></textarea>
<input id="file" type="file" accept="image/jpeg,image/png,image/webp" multiple aria-label="Pictures"><textarea id="vector" rows="3" aria-label="Vector"></textarea>
<div class="row"><button value="predict">Predict</button><input id="label" list="known" placeholder="Label" aria-label="Label"><datalist id="known"></datalist>
<button value="teach">Teach</button></div></form>
<table id="scores"></table><h2>Labels and their examples</h2><table id="labels"></table></section>
<details><summary>From a terminal</summary><pre><code>curl -sX POST "$GRAFT_URL/v1/classifiers" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{"name": "animals", "modality": "image"}'
curl -sX POST "$GRAFT_URL/v1/classifiers/$CLS/examples" -H "Authorization: Bearer $KEY" -F label=cat -F file=@cat.jpg
curl -sX POST "$GRAFT_URL/v1/classifiers/$CLS/predict" -H "Authorization: Bearer $KEY" -H 'Content-Type: image/jpeg' --data-binary @what.jpg</code></pre></details>
<noscript>The console needs JavaScript; <a href="/docs">the reference</a> does not.</noscript><script>${SCRIPT}</script>`,
    STYLE,
  );
}
