// What a device has received, as boxes. Texts are shown as texts: nothing here is ever HTML.

// Boxes of a log, and runs that have not ended.
const BOXES = 500;

export class Log {
  constructor(element) {
    this.element = element;
    this.runs = new Map();
    this.flood = this.gap = null;
  }
  clear() {
    this.runs.clear();
    this.flood = this.gap = null;
    this.element.replaceChildren();
  }
  add(kind, text, note) {
    const box = document.createElement('div');
    box.className = kind;
    if (note) {
      const small = document.createElement('small');
      small.textContent = note;
      box.append(small);
    }
    box.append(text);
    this.flood = null;
    this.element.append(box);
    if (this.element.childElementCount > BOXES) this.element.firstElementChild.remove();
    return box;
  }
  scroll() {
    this.element.scrollTop = this.element.scrollHeight;
  }
  run(id) {
    if (!this.runs.has(id)) {
      const box = this.add('agent', ''), note = document.createElement('small'), answer = document.createElement('span');
      box.append(note, answer);
      this.runs.set(id, { note, answer });
      // The end of a run may be among the events that were missed.
      if (this.runs.size > BOXES) this.runs.delete(this.runs.keys().next().value);
    }
    return this.runs.get(id);
  }
  // One box for gaps in a row, with their sum.
  missed(events) {
    if (!this.gap || this.gap.box !== this.element.lastElementChild) this.gap = { box: this.add('gap', ''), events: 0 };
    this.gap.events += events;
    this.gap.box.textContent = `${this.gap.events} events missed: too slow, or away too long`;
  }
  // One box for the events of a flood that come in a row.
  poured(e) {
    if (!this.flood || e.n < this.flood.last) {
      const box = this.add('notice', '');
      this.flood = { box, first: e.n };
    }
    this.flood.last = e.n;
    this.flood.box.textContent = `flood: events ${this.flood.first} to ${e.n} of ${e.of}`;
  }
  // Shows an event, if it is one that is to be seen.
  show(e, mine) {
    switch (e.type) {
      case 'user_message': this.add('mine', e.text); break;
      case 'agent_started': this.run(e.run_id).note.textContent = 'started'; break;
      case 'agent_thinking': this.run(e.run_id).note.textContent = e.reasoning; break;
      case 'tool_executing': this.run(e.run_id).note.textContent = `using ${e.tool_name} …`; break;
      case 'tool_completed': this.run(e.run_id).note.textContent = `${e.tool_name}: ${e.results}`; break;
      case 'agent_response_chunk': this.run(e.run_id).answer.textContent += e.text; break;
      case 'agent_completed':
        this.run(e.run_id).answer.textContent = e.final_response;
        this.run(e.run_id).note.textContent += ' · done';
        this.runs.delete(e.run_id);
        break;
      case 'agent_error': this.run(e.run_id).note.textContent = e.message; this.runs.delete(e.run_id); break;
      case 'error': this.add('notice', e.message); break;
      case 'quality_metrics': this.add('notice', figures(e.payload)); break;
      case 'quality_alert': this.add('notice', `${e.payload.severity}: ${e.payload.message}`); break;
      case 'room_message': this.add(e.from === mine ? 'mine' : 'theirs', e.text, `${e.from} in ${title(e.room, mine)}`); break;
      case 'node_gap': this.add('gap', `${e.missed} events of another gateway were lost`); break;
      case 'flood': this.poured(e); break;
    }
  }
}

const figures = q => !q.known ? 'the figures are not known any more'
  : `${q.runs} answers in ${q.period_hours} h, ${q.success_rate} % good, ${Math.round(q.mean_duration_ms)} ms each`;

// A room as its members call it: a room of two by the other one's name.
export function title(room, mine) {
  const [kind, ...two] = room.split(':');
  return kind === 'direct' && two.length ? `direct with ${two.find(name => name !== mine)}` : `#${room}`;
}
