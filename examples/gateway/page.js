// The gateway's page. It takes nothing for true but what the server says: who this tab is, what was said, and that
// the server is still there.
'use strict';
const $ = id => document.getElementById(id), runs = new Map();
// Milliseconds: the first pause before a reconnect, the longest, and how long the server may be silent until it
// has said how often it speaks. Boxes on the page.
const FIRST = 500, LONGEST = 30000, PATIENCE = 10000, BOXES = 500;
let socket = null, greeted = false, position = null, delay = FIRST, patience = PATIENCE, silence, retry, draft = null;

// The state that survives a reload, in storage that no other tab sees: `name` and `token` as the server gave them, `beginning`
// where this tab's conversation begins, `said` the message that the server has not echoed yet.
let me = JSON.parse(sessionStorage.getItem('laneway') ?? '{}');
const remember = change => { me = { ...me, ...change }; sessionStorage.setItem('laneway', JSON.stringify(me)) };

function add(kind, text) {
  const box = document.createElement('div');
  box.className = kind;
  box.textContent = text;
  $('log').append(box);
  if ($('log').childElementCount > BOXES) $('log').firstElementChild.remove();
  $('log').scrollTop = $('log').scrollHeight;
  return box;
}
function agent(run) {
  if (!runs.has(run)) {
    const box = add('agent', ''), note = document.createElement('small'), answer = document.createElement('span');
    box.append(note, answer);
    runs.set(run, { note, answer });
    // The end of a run may be among the events that were missed.
    if (runs.size > BOXES) runs.delete(runs.keys().next().value);
  }
  return runs.get(run);
}
const show = {
  user_message: e => { add('mine', e.text); if (e.message_id === me.said?.id) settled() },
  agent_started: e => { agent(e.run_id).note.textContent = 'started' },
  agent_thinking: e => { agent(e.run_id).note.textContent = e.reasoning },
  tool_executing: e => { agent(e.run_id).note.textContent = `using ${e.tool_name} …` },
  tool_completed: e => { agent(e.run_id).note.textContent = `${e.tool_name}: ${e.results}` },
  agent_response_chunk: e => { agent(e.run_id).answer.textContent += e.text },
  agent_completed: e => {
    agent(e.run_id).answer.textContent = e.final_response;
    agent(e.run_id).note.textContent += ' · done';
    runs.delete(e.run_id);
  },
  agent_error: e => { agent(e.run_id).note.textContent = e.message; runs.delete(e.run_id) },
  error: e => { add('notice', e.message); refused() },
  ack: e => { if (e.message_id === me.said?.id && e.status === 'already_handled') settled() },
  quality_metrics: ({ payload: q }) =>
    add('notice', !q.known ? 'the figures are not known any more' : `${q.runs} answers in ${q.period_hours} h, ${q.success_rate} % good, ${Math.round(q.mean_duration_ms)} ms each`),
  quality_alert: ({ payload: q }) => add('notice', `${q.severity}: ${q.message}`),
};

// A typed message stays in its field, and is sent again after a reconnect, until the server echoes it. Its id makes it
// one message however often it is sent. An error ends the wait and not the message: it may be another request's.
function say(text) {
  const id = Array.from(crypto.getRandomValues(new Uint32Array(4)), n => n.toString(16)).join('-');
  remember({ said: { id, text } });
  $('text').readOnly = true;
  if (greeted) sendSaid();
}
const send = message => socket.send(JSON.stringify(message));
const sendSaid = () =>
  send({ type: 'user_message', payload: { text: me.said.text, thread_id: 'main', message_id: me.said.id } });
function settled() {
  if ($('text').value.trim() === me.said.text) $('text').value = '';
  remember({ said: undefined });
  $('text').readOnly = false;
}
function refused() {
  if (me.said) remember({ said: { ...me.said, refused: true } });
  $('text').readOnly = false;
}

// Each sign of life starts the wait for the next one. A connection can be dead for hours and look open.
function alive() {
  clearTimeout(silence);
  silence = setTimeout(() => lost(0, 'the server is silent'), patience);
}
function connect() {
  const query = position ?? me.beginning ? `?position=${position ?? me.beginning}` : '';
  const mine = socket = new WebSocket(`${location.protocol.replace('http', 'ws')}//${location.host}/ws${query}`, ['laneway', me.token]);
  // A socket that was given up may still have something to say, perhaps for another user.
  mine.onmessage = message => { if (mine === socket) hear(JSON.parse(message.data)) };
  mine.onclose = close => { if (mine === socket) lost(close.code, close.reason) };
  alive();
}
function hear(frame) {
  alive();
  if (!greeted && !greet(frame)) return;
  position = frame.position ?? position;
  if (frame.gap) add('notice', `${frame.gap} events missed: this tab was too slow, or away for too long`);
  if (frame.event) show[frame.event.type]?.(frame.event);
  // Not sooner: a server that takes each socket and closes it at once would be asked twice a second.
  else if (frame.beat && !frame.user) delay = FIRST;
  $('log').scrollTop = $('log').scrollHeight;
}
// The first frame says whose socket it is. Nothing is shown before, and nothing at all under another name.
function greet(frame) {
  if (frame.user !== me.name) {
    ask(`this tab was ${me.name}'s, and the server says ${frame.user ?? 'nothing'}: log in again`);
    return false;
  }
  greeted = true;
  patience = 2.5 * frame.beat;
  if (frame.reset) add('notice', 'what came while this tab was away is gone');
  if (frame.reset || !me.beginning) remember({ beginning: frame.position });
  send({ type: 'subscribe_quality_alerts', payload: { action: 'subscribe' } });
  if (me.said && !me.said.refused) sendSaid();
  $('state').dataset.open = '1';
  $('state').textContent = 'connected';
  return true;
}
// Gives the socket up, whatever it still says of itself: a close that cannot be sent takes its time.
function drop() {
  const old = socket;
  socket = null;
  greeted = false;
  clearTimeout(silence);
  clearTimeout(retry);
  delete $('state').dataset.open;
  old?.close();
}
function lost(code, reason) {
  drop();
  if (code === 4001) return ask('logged out');
  if (code === 4401) {
    const kept = { name: me.name, text: $('text').value };
    ask('the session has ended: log in again');
    draft = kept;
    return;
  }
  // Only the server's word makes a position useless: a refused handshake or a lost connection says nothing of it.
  if (code === 1008 || code === 4005 || code === 4403) { position = null; remember({ beginning: undefined }) }
  if (code === 1009) { add('notice', 'the message is too long'); refused() }
  $('state').textContent = `connection lost${reason && `: ${reason}`}, trying again …`;
  // All pages lose a server at the same moment; they do not all come back at the same moment.
  retry = setTimeout(connect, delay * (0.5 + Math.random() / 2));
  delay = Math.min(delay * 2, LONGEST);
}

// Shows the page of a user, or the log-in.
function turn(user) {
  $('login').hidden = user;
  $('say').hidden = $('leave').hidden = $('figures').hidden = !user;
  $('who').textContent = user ? me.name : '';
  document.title = user ? `laneway · ${me.name}` : 'laneway gateway';
}
// Nothing of the last user is left when the next one comes: no text, no token, no position, no run. Only a session
// that has ended leaves what was being typed, for the same name.
function ask(why) {
  drop();
  sessionStorage.removeItem('laneway');
  me = {};
  position = null;
  delay = FIRST;
  draft = null;
  runs.clear();
  $('log').replaceChildren();
  $('text').value = '';
  $('text').readOnly = false;
  turn(false);
  $('state').textContent = why;
}
const post = (path, more) => fetch(path, { method: 'POST', signal: AbortSignal.timeout(PATIENCE), ...more });
$('login').onsubmit = async event => {
  event.preventDefault();
  try {
    const body = JSON.stringify({ name: $('name').value });
    const answer = await post('/login', { headers: { 'content-type': 'application/json' }, body });
    if (!answer.ok) throw new Error(await answer.text());
    const { name, token } = await answer.json();
    const text = draft?.name === name ? draft.text : '';
    ask('connecting …');
    $('text').value = text;
    remember({ name, token });
    turn(true);
    connect();
  } catch (error) { $('state').textContent = error.message }
};
$('leave').onclick = async () => {
  try {
    const answer = await post('/logout', { headers: { authorization: `Bearer ${me.token}` } });
    if (answer.ok || answer.status === 401) ask('logged out');
    else throw new Error(await answer.text());
  } catch (error) { $('state').textContent = `not logged out: ${error.message}` }
};
$('say').onsubmit = event => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text && (!me.said || me.said.refused)) say(text);
};
$('figures').onclick = () => { if (greeted) send({ type: 'get_quality_metrics' }) };
turn(!!me.token);
if (me.said) { $('text').value = me.said.text; $('text').readOnly = !me.said.refused }
if (me.token) connect();
else $('state').textContent = 'not logged in';
